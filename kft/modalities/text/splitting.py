"""A text -> normalised characters and words, in the graph."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from kft.modalities.text.code_points import (
    ABSENT,
    ALONE,
    REPLACEMENT,
    SPACE,
    CodePoints,
    load_code_points,
)

_SPACE_CODE = ord(" ")


@dataclass(frozen=True)
class Words:
    """The characters of a text that are no spaces, and the words that they are of.

    Attributes:
        codes: Code points, int32 (characters,).
        word: Number of each one's word, int32 (characters,): rising from 0. A punctuation mark or
            ideograph is a word of its own.
        chunk: Number of each one's chunk, int32 (characters,): chunks end only at spaces.
    """

    codes: tf.Tensor
    word: tf.Tensor
    chunk: tf.Tensor

    def first(self, count: int) -> Words:
        """The first words."""
        is_kept = self.word < count
        return Words(
            *(tf.boolean_mask(each, is_kept) for each in (self.codes, self.word, self.chunk))
        )


def normalise(text: tf.Tensor, *, lowercase: bool, strip_accents: bool) -> tuple[tf.Tensor, ...]:
    """Normalised code points, int32 (characters,), and their kinds, int8 (characters,).

    Bytes that are not UTF-8, control characters and unassigned code points are dropped; any
    space becomes the plain one.

    Args:
        text: Scalar string, in UTF-8.
        lowercase: See `load_code_points`.
        strip_accents: See `load_code_points`.
    """
    table = load_code_points(lowercase=lowercase, strip_accents=strip_accents)
    codes = tf.strings.unicode_decode(text, "UTF-8", errors="replace", replacement_char=REPLACEMENT)
    shifts, kinds = _look_up(table, codes)
    is_there = kinds != ABSENT
    shifted = tf.boolean_mask(codes[:, tf.newaxis] + shifts, is_there)
    kinds = tf.boolean_mask(kinds, is_there)
    return tf.where(kinds == SPACE, _SPACE_CODE, shifted), kinds


def _look_up(table: CodePoints, codes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows of the table: int32 and int8 (characters, 3)."""
    page_size = table.shifts.shape[1]
    rows = tf.gather(table.pages, codes // page_size) * page_size + codes % page_size
    return tuple(
        tf.gather(each.reshape(-1, each.shape[-1]), rows) for each in (table.shifts, table.kinds)
    )


def split(text: tf.Tensor, *, lowercase: bool, strip_accents: bool) -> Words:
    """The words of a text: at spaces, and around each punctuation mark and ideograph.

    Args:
        text: See `normalise`.
        lowercase: See `load_code_points`.
        strip_accents: See `load_code_points`.
    """
    codes, kinds = normalise(text, lowercase=lowercase, strip_accents=strip_accents)
    is_space, is_alone = kinds == SPACE, kinds == ALONE
    after_space = tf.concat([[True], is_space[:-1]], axis=0)[: tf.size(codes)]
    after_break = tf.concat([[True], (is_space | is_alone)[:-1]], axis=0)[: tf.size(codes)]
    starts_word = ~is_space & (after_break | is_alone)
    starts_chunk = ~is_space & after_space
    word, chunk = (
        tf.cumsum(tf.cast(starts, tf.int32)) - 1 for starts in (starts_word, starts_chunk)
    )
    return Words(*(tf.boolean_mask(each, ~is_space) for each in (codes, word, chunk)))


def encode(codes: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Strings of the characters with equal numbers, and the length of each in characters.

    Args:
        codes: Code points, int32 (characters,).
        numbers: Rising from 0 without gaps, int32 (characters,).
    """
    ragged = tf.RaggedTensor.from_value_rowids(codes, tf.cast(numbers, tf.int64), validate=False)
    return tf.strings.unicode_encode(ragged, "UTF-8"), tf.cast(ragged.row_lengths(), tf.int32)
