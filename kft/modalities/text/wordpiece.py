"""WordPiece in the graph: words -> ids of their longest known pieces."""

from __future__ import annotations

from functools import cache

import tensorflow as tf

from kft.modalities.text.vocabulary import Vocabulary

CONTINUED = "##"
"""Precedes each piece but the first of a word."""
# Longer words are unknown.
_LONGEST_WORD = 100


def match_pieces(
    words: tf.Tensor,
    lengths: tf.Tensor,
    vocabulary: Vocabulary,
    *,
    unknown: int,
    longest_piece: int,
) -> tf.Tensor:
    """Ids of the pieces of all words in order, int32 (pieces,).

    Every word gives its longest known beginning, then the longest known beginning of the rest.
    A word with an unknown rest is unknown as a whole. All words advance together by one piece
    in each turn of the loop.

    Args:
        words: Strings (words,).
        lengths: Their characters, int32 (words,).
        vocabulary: Of the pieces.
        unknown: Id of an unknown word.
        longest_piece: Most characters of a piece, without the leading `##`.

    Source: Wu et al., Google's Neural Machine Translation System, arXiv:1609.08144.
    """
    sizes = tf.range(1, min(longest_piece, _LONGEST_WORD) + 1)

    def advance(
        active: tf.Tensor, start: tf.Tensor, owners: tf.Tensor, pieces: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        left = tf.gather(lengths, active) - start
        shape = tf.stack([tf.size(active), tf.size(sizes)])
        candidates = tf.strings.substr(
            tf.gather(words, active)[:, tf.newaxis],
            tf.broadcast_to(start[:, tf.newaxis], shape),
            tf.broadcast_to(sizes, shape),
            unit="UTF8_CHAR",
        )
        prefixes = tf.where(start > 0, CONTINUED, "")[:, tf.newaxis]
        ids = vocabulary.find(tf.add(prefixes, candidates))
        fits = (ids >= 0) & (sizes <= left[:, tf.newaxis])
        fits &= (start + left <= _LONGEST_WORD)[:, tf.newaxis]
        size = tf.reduce_max(tf.where(fits, sizes, 0), axis=1)
        piece = tf.gather(ids, tf.maximum(size - 1, 0), batch_dims=1)
        is_found = size > 0
        goes_on = is_found & (size < left)
        return (
            tf.boolean_mask(active, goes_on),
            tf.boolean_mask(start + size, goes_on),
            tf.concat([owners, active], axis=0),
            tf.concat([pieces, tf.where(is_found, piece, -1)], axis=0),
        )

    everyone = tf.range(tf.size(words))
    nothing = tf.zeros((0,), tf.int32)
    any_length = tf.TensorShape((None,))
    _, _, owners, pieces = tf.while_loop(
        lambda active, *_: tf.size(active) > 0,
        advance,
        (everyone, tf.zeros_like(everyone), nothing, nothing),
        shape_invariants=(any_length,) * 4,
    )
    is_failed = pieces < 0
    fails = tf.math.unsorted_segment_max(tf.cast(is_failed, tf.int32), owners, tf.size(words)) > 0
    is_kept = is_failed | ~tf.gather(fails, owners)
    owners, pieces = (tf.boolean_mask(each, is_kept) for each in (owners, pieces))
    ordered = tf.gather(pieces, tf.argsort(owners, stable=True))
    return tf.where(ordered < 0, unknown, ordered)


@cache
def find_longest_piece(tokens: tuple[str, ...]) -> int:
    """Most characters of a piece, without the leading `##`."""
    return max(len(token.removeprefix(CONTINUED)) for token in tokens)
