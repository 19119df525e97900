"""Masks in the size of their files, in graph operations."""

from __future__ import annotations

import tensorflow as tf

from kft.tasks.base import VOID

PROBABILITIES = "probabilities"
MASKS = "mask"
SHARES = "shares"
SIZES = "sizes"
# Rows of a mask that are computed at once: all of a large picture would take gigabytes.
_BAND = 64


def answer_masks(probabilities: tf.Tensor, frames: tf.Tensor | None) -> dict[str, tf.Tensor]:
    """Make the outputs of an export from probabilities (batch, height, width, classes).

    Args:
        probabilities: Probabilities of each pixel of the model's input.
        frames: See `Head.serve`; None to answer in the size of the input.

    Returns:
        `probabilities`; `mask`, uint8 (batch, …), as large as the largest file of the batch, with
        `VOID` beyond each file and where the model saw nothing; `sizes`, int32 (batch, 2), height
        and width of each file; and `shares` (batch, classes) of each class in the mask.
    """
    num_classes = probabilities.shape[-1]
    if frames is None:
        shape = tf.cast(tf.shape(probabilities)[1:3], tf.float32)
        frame = tf.concat([shape, [0.0, 0.0, 1.0, 1.0]], axis=0)
        frames = tf.tile(frame[tf.newaxis], [tf.shape(probabilities)[0], 1])
    sizes = tf.cast(frames[:, :2], tf.int32)
    largest = tf.reduce_max(sizes, axis=0)
    masks = tf.map_fn(
        lambda pair: _answer_one(pair[0], pair[1], largest),
        (probabilities, frames),
        fn_output_signature=tf.TensorSpec((None, None), tf.uint8),
    )
    counts = tf.stack(
        [
            tf.math.count_nonzero(tf.equal(masks, index), axis=(1, 2), dtype=tf.float32)
            for index in range(num_classes)
        ],
        axis=1,
    )
    shares = tf.math.divide_no_nan(counts, tf.reduce_sum(counts, axis=1, keepdims=True))
    return {PROBABILITIES: probabilities, MASKS: masks, SIZES: sizes, SHARES: shares}


def _answer_one(probabilities: tf.Tensor, frame: tf.Tensor, largest: tf.Tensor) -> tf.Tensor:
    """The mask of one file, uint8 of the size `largest`."""
    height, width, top, left, bottom, right = tf.unstack(frame)
    shape = tf.cast(tf.shape(probabilities)[:2], tf.float32)
    # Pixel i of the file, whose centre is at i + 0.5, is seen at scale * i + start in the input.
    down, across = shape[0] / (height * (bottom - top)), shape[1] / (width * (right - left))
    start_y = (0.5 / height - top) * height * down - 0.5
    start_x = (0.5 / width - left) * width * across - 0.5
    columns = tf.cast(tf.range(largest[1]), tf.float32)

    def answer(first: tf.Tensor) -> tf.Tensor:
        row = tf.cast(first, tf.float32)
        matrix = [across, 0.0, start_x, 0.0, down, start_y + down * row, 0.0, 0.0]
        seen = tf.raw_ops.ImageProjectiveTransformV3(
            images=probabilities[tf.newaxis],
            transforms=tf.stack(matrix)[tf.newaxis],
            output_shape=tf.stack([_BAND, largest[1]]),
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )[0]
        rows = row + tf.range(_BAND, dtype=tf.float32)
        inside = (
            _is_inside(rows, height, down, start_y, shape[0])[:, tf.newaxis]
            & _is_inside(columns, width, across, start_x, shape[1])[tf.newaxis]
        )
        return tf.where(inside, tf.cast(tf.argmax(seen, axis=-1), tf.uint8), VOID)

    bands = tf.map_fn(
        answer,
        tf.range(0, largest[0], _BAND),
        fn_output_signature=tf.TensorSpec((_BAND, None), tf.uint8),
    )
    return tf.reshape(bands, tf.stack([-1, largest[1]]))[: largest[0]]


def _is_inside(
    places: tf.Tensor, size: tf.Tensor, scale: tf.Tensor, start: tf.Tensor, length: tf.Tensor
) -> tf.Tensor:
    """Tell which pixels are in the file, and in the part of it that the model saw."""
    seen = places * scale + start
    return (places < size) & (seen >= -0.5) & (seen <= length - 0.5)
