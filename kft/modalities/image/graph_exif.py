"""EXIF orientation in graph operations, by the rule of `exif.orientation_in_window`."""

from __future__ import annotations

import tensorflow as tf

from kft.modalities.image import exif

# First EXIF mark and everything after it.
_FROM_MARK = r"Exif\x00\x00\C*"


def find_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Find the EXIF orientation of a JPEG like `exif.orientation_in_window`: string -> int32."""
    head = tf.strings.substr(encoded, 0, exif.WINDOW)
    return tf.cond(
        _has_mark(head), lambda: _read_orientation(head), lambda: tf.constant(exif.UPRIGHT)
    )


def _has_mark(head: tf.Tensor) -> tf.Tensor:
    before = tf.strings.regex_replace(head, _FROM_MARK, "", replace_global=False)
    return tf.strings.length(before) < tf.strings.length(head)


def _read_orientation(head: tf.Tensor) -> tf.Tensor:
    """Apply the rule of `exif.orientation_in_window` without a loop.

    Args:
        head: First bytes of a JPEG, with an EXIF mark (scalar string).
    """
    before = tf.strings.regex_replace(head, _FROM_MARK, "", replace_global=False)
    start = tf.maximum(tf.strings.length(before), 4)
    values = tf.cast(tf.io.decode_raw(head, tf.uint8), tf.int32)
    # Zeros after the window keep every offset within bounds.
    block = tf.pad(values[start + len(exif.MARK) :], [[0, 16]])
    is_little = tf.equal(block[0], ord("I"))
    first, second = tf.where(is_little, 1, 256), tf.where(is_little, 256, 1)
    # Two-byte number at each offset.
    numbers = block[:-1] * first + block[1:] * second
    size = tf.shape(block)[0] - 16
    high, low = (
        tf.where(is_little, numbers[6], numbers[4]),
        tf.where(is_little, numbers[4], numbers[6]),
    )
    is_sound = tf.reduce_all(
        [
            tf.equal(values[start - 4], 0xFF),
            tf.equal(values[start - 3], 0xE1),
            tf.equal(block[0], block[1]),
            tf.logical_or(is_little, tf.equal(block[0], ord("M"))),
            tf.equal(numbers[2], 42),
            tf.equal(high, 0),
            low + 2 <= size,
        ]
    )
    directory = tf.where(is_sound, low, 0)
    count = tf.minimum(numbers[directory], (size - directory - 2) // 12)
    entries = directory + 2 + 12 * tf.range(tf.where(is_sound, count, 0))
    is_stated = tf.logical_and(
        tf.equal(tf.gather(numbers, entries), exif.ORIENTATION_TAG),
        tf.equal(tf.gather(numbers, entries + 2), exif.SHORT_TYPE),
    )
    stated = tf.reduce_max(tf.where(is_stated, tf.gather(numbers, entries + 8), 0))
    return tf.where(tf.logical_and(stated >= 1, stated <= 8), stated, exif.UPRIGHT)
