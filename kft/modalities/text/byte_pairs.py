"""Byte-level byte pair encoding in the graph, as GPT-2 and RoBERTa read texts."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import tensorflow as tf

from kft.modalities.text.code_points import PAGE, REPLACEMENT, share_pages
from kft.modalities.text.vocabulary import search

# Classes of code points; before the first and after the last there is none.
_OTHER, _LETTER, _NUMBER, _SPACE, _NONE = range(5)
_BLANK, _APOSTROPHE = ord(" "), ord("'")
_CONTRACTIONS = ("s", "t", "re", "ve", "m", "ll", "d")
_LAST = 2**31 - 1


class BytePairs:
    """Merges of byte pairs by rank.

    Args:
        vocabulary: Tokens by their id, bytes written as GPT-2 does: `Ġ` for a space.
        merges: Pairs of tokens with a space between them, the first to merge first.

    Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019, for the
    split into words and the encoding; Sennrich et al., arXiv:1508.07909.
    """

    def __init__(self, vocabulary: tuple[str, ...], merges: tuple[str, ...]) -> None:
        ids = {token: place for place, token in enumerate(vocabulary)}
        self._size = len(vocabulary)
        self._bytes = np.array([ids[letter] for letter in _write_bytes()], np.int32)
        keys, merged = [], []
        for merge in merges:
            first, second = merge.split(" ")
            keys.append(ids[first] * self._size + ids[second])
            merged.append(ids[first + second])
        order = np.argsort(keys)
        self._keys = np.array(keys, np.int64)[order]
        self._ranks = order.astype(np.int32)
        self._merged = np.array(merged, np.int32)

    def encode(self, text: tf.Tensor, most: int) -> tf.Tensor:
        """Ids of the tokens of a text's first words, int32 (tokens,); each word has at least one.

        Args:
            text: Scalar string, in UTF-8.
            most: Number of words.
        """
        codes = tf.strings.unicode_decode(
            text, "UTF-8", errors="replace", replacement_char=REPLACEMENT
        )
        word = tf.cumsum(tf.cast(_find_starts(codes), tf.int32)) - 1
        codes, word = (tf.boolean_mask(each, word < most) for each in (codes, word))
        letters = tf.strings.unicode_encode(codes[:, tf.newaxis], "UTF-8")
        values = tf.io.decode_raw(tf.strings.reduce_join(letters), tf.uint8)
        ids = tf.gather(self._bytes, tf.cast(values, tf.int32))
        any_length = tf.TensorShape((None,))
        ids, _, _ = tf.while_loop(
            lambda ids, word, goes_on: goes_on,
            self._merge,
            (ids, tf.repeat(word, tf.strings.length(letters)), tf.constant(True)),
            shape_invariants=(any_length, any_length, tf.TensorShape(())),
        )
        return ids

    def _merge(self, ids: tf.Tensor, word: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Merge in each word the pairs of the lowest rank."""
        keys = tf.cast(ids[:-1], tf.int64) * self._size + tf.cast(ids[1:], tf.int64)
        found = search(self._keys, self._ranks, keys)
        is_pair = (word[:-1] == word[1:]) & (found >= 0)
        rank = tf.where(is_pair, found, _LAST)
        num_words = tf.reduce_max(tf.concat([[-1], word], axis=0)) + 1
        best = tf.gather(tf.math.unsorted_segment_min(rank, word[:-1], num_words), word[:-1])
        is_chosen = _take_every_second(is_pair & (rank == best))
        never = tf.fill([tf.minimum(tf.size(ids), 1)], False)
        merged = tf.gather(self._merged, tf.where(is_chosen, rank, 0))
        ids = tf.where(
            tf.concat([is_chosen, never], axis=0), tf.concat([merged, ids[-1:]], axis=0), ids
        )
        is_kept = ~tf.concat([never, is_chosen], axis=0)
        return (
            tf.boolean_mask(ids, is_kept),
            tf.boolean_mask(word, is_kept),
            tf.reduce_any(is_chosen),
        )


def _take_every_second(is_best: tf.Tensor) -> tf.Tensor:
    """The first, third … pair of each run: pairs that overlap cannot both merge."""
    places = tf.range(tf.size(is_best))
    starts = is_best & ~tf.concat([[False], is_best], axis=0)[: tf.size(is_best)]
    run = tf.maximum(tf.cumsum(tf.cast(starts, tf.int32)) - 1, 0)
    first = tf.concat([tf.boolean_mask(places, starts), [0]], axis=0)
    return is_best & ((places - tf.gather(first, run)) % 2 == 0)


def _find_starts(codes: tf.Tensor) -> tf.Tensor:
    """Whether a word starts at each code point, bool (characters,).

    A word is a contraction such as `'ll`, or a run of letters, of numbers or of other characters,
    each with a blank before it if there is one. Other spaces are words of their own.
    """
    pages, classes = _load_classes()
    kind = tf.gather(classes, tf.gather(pages, codes // PAGE) * PAGE + codes % PAGE)
    count = tf.size(codes)

    def shift(values: tf.Tensor, by: int) -> tf.Tensor:
        return tf.concat([tf.fill([by], False), values], axis=0)[:count]

    before = tf.concat([[_NONE], kind], axis=0)[:count]
    after = tf.concat([kind, [_NONE]], axis=0)[1 : count + 1]
    is_space = kind == _SPACE
    starts = tf.where(
        is_space,
        (before != _SPACE) | ((after != _SPACE) & (after != _NONE)),
        (before != kind) & ~shift(codes == _BLANK, 1),
    )
    is_head = starts & (codes == _APOSTROPHE)
    padded = tf.concat([codes, tf.zeros((2,), tf.int32)], axis=0)
    length = tf.zeros_like(codes)
    for ending in reversed(_CONTRACTIONS):
        fits = is_head
        for place, letter in enumerate(ending, 1):
            fits &= padded[place : place + count] == ord(letter)
        length = tf.where(fits, len(ending), length)
    return (starts & ~shift(length > 0, 1)) | shift(length == 1, 2) | shift(length == 2, 3)


@cache
def _load_classes() -> tuple[np.ndarray, np.ndarray]:
    """Pages of code points, and the class of each code point of a page."""
    pages, (classes,) = share_pages(
        lambda first: (
            np.array([_classify(chr(code)) for code in range(first, first + PAGE)], np.int32),
        )
    )
    return pages, classes.ravel()


def _classify(letter: str) -> int:
    kind = unicodedata.category(letter)[0]
    # The separators U+001C to U+001F are controls for Unicode, and spaces only for Python.
    if letter.isspace() and letter not in "\x1c\x1d\x1e\x1f":
        return _SPACE
    return {"L": _LETTER, "N": _NUMBER}.get(kind, _OTHER)


def _write_bytes() -> str:
    """The letter that stands for each byte in a vocabulary: itself if it is printable."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


def read_byte_letters(letters: str) -> str:
    """Read a text that is written with one letter per byte, as tokens of a vocabulary are."""
    places = {letter: byte for byte, letter in enumerate(_write_bytes())}
    return bytes(places[letter] for letter in letters).decode("utf-8", "replace")


@cache
def load_byte_pairs(vocabulary: tuple[str, ...], merges: tuple[str, ...]) -> BytePairs:
    """The byte pairs of this vocabulary, made once in a process."""
    return BytePairs(vocabulary, merges)
