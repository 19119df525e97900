"""Resampling in the graph: a windowed sinc, applied to many outputs by one product of matrices."""

from __future__ import annotations

import math

import tensorflow as tf

# Zero crossings of the sinc on either side, the share of the narrower band that passes, and the
# shape of the Kaiser window: flat to 0.86 of that band, 90 dB down beyond 1.04 of it.
_CROSSINGS = 32
_ROLLOFF = 0.95
_KAISER_BETA = 9.0
# Outputs of one period. All common rates repeat within 640; others are approximated by a ratio
# with a smaller period, which changes the pitch by about a hundred-thousandth.
_MOST_OUTPUTS = 640
# Shorter periods are joined: a product with few columns is slow.
_FEWEST_OUTPUTS = 160


def resample(samples: tf.Tensor, source_rate: tf.Tensor, target_rate: int) -> tf.Tensor:
    """Change the sample rate of one recording.

    Args:
        samples: float32 (samples,).
        source_rate: Samples per second, int64 scalar.
        target_rate: Samples per second of the result.

    Returns:
        float32 (samples * target_rate / source_rate,), rounded up.

    Source: Smith, Digital Audio Resampling, https://ccrma.stanford.edu/~jos/resample/.
    """
    return tf.cond(
        tf.equal(source_rate, target_rate),
        lambda: samples,
        lambda: _filter(samples, *_find_ratio(source_rate, target_rate)),
    )


def _find_ratio(source_rate: tf.Tensor, target_rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Find the period of the two rates: numbers of inputs and outputs, int64 scalars."""
    outputs = tf.range(1, _MOST_OUTPUTS + 1, dtype=tf.int64)
    inputs = tf.maximum((outputs * source_rate + target_rate // 2) // target_rate, 1)
    errors = tf.abs(inputs * target_rate - outputs * source_rate) / outputs
    best = tf.argmin(errors)
    times = tf.maximum(_FEWEST_OUTPUTS // outputs[best], 1)
    return inputs[best] * times, outputs[best] * times


def _filter(samples: tf.Tensor, num_inputs: tf.Tensor, num_outputs: tf.Tensor) -> tf.Tensor:
    """Give `num_outputs` samples for each `num_inputs`: (samples,) -> (samples,)."""
    ratio = tf.cast(num_outputs, tf.float64) / tf.cast(num_inputs, tf.float64)
    cutoff = _ROLLOFF * tf.minimum(ratio, 1.0)
    width = tf.cast(tf.math.ceil(_CROSSINGS / cutoff), tf.int64)
    kernel = _make_kernel(num_inputs, num_outputs, cutoff, width)
    total = tf.size(samples, tf.int64)
    num_blocks = -(-total // num_inputs)
    padded = tf.pad(samples, [[width, num_blocks * num_inputs - total + width]])
    starts = num_inputs * tf.range(num_blocks)
    blocks = tf.gather(padded, starts[:, tf.newaxis] + tf.range(num_inputs + 2 * width))
    resampled = tf.reshape(tf.matmul(blocks, kernel), (-1,))
    return resampled[: -(-total * num_outputs // num_inputs)]


def _make_kernel(
    num_inputs: tf.Tensor, num_outputs: tf.Tensor, cutoff: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Make the matrix from a block of inputs to one of outputs, float32 (inputs, outputs).

    The block begins `width` samples before the first output, and ends as many after the last.
    Each column sums to 1: silence and constants stay exactly what they are.
    """
    column = tf.range(num_outputs)[:, tf.newaxis]
    # The input at or before each output, and the inputs around it.
    before = column * num_inputs // num_outputs
    row = before + tf.range(1, 2 * width + 1)
    places = tf.cast(column * num_inputs, tf.float64) / tf.cast(num_outputs, tf.float64)
    distance = tf.cast(row - width, tf.float64) - places
    angle = math.pi * cutoff * distance
    sinc = tf.math.divide_no_nan(tf.sin(angle), angle)
    sinc = tf.where(tf.equal(angle, 0.0), tf.ones_like(sinc), sinc)
    inside = 1.0 - (distance / tf.cast(width, tf.float64)) ** 2
    values = sinc * tf.math.bessel_i0(_KAISER_BETA * tf.sqrt(tf.maximum(inside, 0.0)))
    values = tf.cast(values / tf.reduce_sum(values, axis=1, keepdims=True), tf.float32)
    indices = tf.stack([row, tf.broadcast_to(column, tf.shape(row))], axis=-1)
    return tf.scatter_nd(indices, values, [num_inputs + 2 * width, num_outputs])
