"""Batches of sequences of similar length, which end where their longest sequence does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.data.batches.order import Order
from kft.examples import Examples, Files
from kft.modalities.model_input import PADDING_MASK, InputSpec

# Batches whose examples are sorted together. With more, batches would be less random, and their
# sequences hardly closer in length.
_SORTED_BATCHES = 20
# Widths that vector units like; also bounds how many shapes XLA compiles.
_MULTIPLE = 8


def measure_sizes(examples: Examples) -> np.ndarray:
    """Measure each example in bytes, int64 (examples,), which need not be decoded for it.

    The number of bytes grows with the number of steps, closely enough to sort by.
    """
    inputs = examples.inputs
    if not isinstance(inputs, Files):
        return np.array([len(content) for content in inputs.contents], np.int64)
    if inputs.stamps is None:
        return np.array([Path(path).stat().st_size for path in inputs.paths], np.int64)
    return np.array([size for size, _ in inputs.stamps], np.int64)


def sort_by_size(order: Order, sizes: np.ndarray, *, batch_size: int, seed: int) -> Order:
    """Change an order so that the examples of a batch are of similar size.

    The examples of 20 batches at a time are sorted by size, and batches come in a random order,
    the smaller one last. Still each example comes as often as in `order`, and the position of an
    example is a pure function of (seed, epoch): a run resumes at any step.

    Args:
        order: Order of the examples.
        sizes: Size of each example, from `measure_sizes`.
        batch_size: Examples of a batch.
        seed: Seed of the order of the batches.
    """
    count = len(sizes)
    num_whole = count // batch_size
    of_sizes = tf.constant(sizes)
    sorted_together = _SORTED_BATCHES * batch_size

    def sorted_order(epoch: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.reduce_max(positions) // batch_size
        if num_whole > 1:
            # Another key than that of the examples, which has the epoch from 0 up.
            key = tf.stack([tf.cast(seed, tf.int64), -1 - epoch])
            last = tf.constant(num_whole - 1, tf.int64)
            drawn = tf.random.experimental.index_shuffle(tf.minimum(batch, last), key, last)
            batch = tf.where(batch < num_whole, drawn, batch)
        first = batch // _SORTED_BATCHES * sorted_together
        times, indices = order(epoch, tf.range(first, tf.minimum(first + sorted_together, count)))
        places = tf.argsort(tf.gather(of_sizes, indices), stable=True)
        within = batch % _SORTED_BATCHES * batch_size + positions % batch_size
        chosen = tf.gather(places, within)
        return tf.gather(times, chosen), tf.gather(indices, chosen)

    return sorted_order


def has_steps(value: Any, num_steps: int | None) -> bool:
    """Tell whether a batch's tensor is a sequence of steps on its second axis.

    Vectors (batch, channels) are floats, so numbers and masks (batch, steps) are told from them.

    Args:
        value: Tensor, or symbolic tensor of Keras.
        num_steps: Number of steps of the padding mask.
    """
    rank = len(value.shape)
    is_float = tf.as_dtype(value.dtype).is_floating
    return rank >= 2 and value.shape[1] == num_steps and (rank > 2 or not is_float)


def may_shorten(spec: InputSpec, inputs: Mapping[str, Any]) -> bool:
    """Tell whether `shorten` suits a model and finds the steps of all its inputs.

    A mask (batch, 1, steps) of attention would have them on another axis.

    Args:
        spec: Input of the backbone.
        inputs: Tensors of a batch by name, or symbolic ones of Keras.
    """
    if not spec.may_shorten or PADDING_MASK not in inputs:
        return False
    num_steps = inputs[PADDING_MASK].shape[1]
    return all(
        has_steps(each, num_steps) or num_steps not in each.shape[2:] for each in inputs.values()
    )


def shorten(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Cut a batch behind its longest sequence, at a multiple of 8 steps.

    Args:
        inputs: Tensors of a batch by name, among them the padding mask (batch, steps).
    """
    mask = inputs[PADDING_MASK]
    num_steps = mask.shape[1]
    assert num_steps is not None
    # Not the sum: an augmentation may hide steps in the middle.
    longest = tf.reduce_max(tf.cast(mask > 0, tf.int32) * tf.range(1, num_steps + 1))
    width = tf.minimum(-(-longest // _MULTIPLE) * _MULTIPLE, num_steps)
    return {
        name: _cut(value, width) if has_steps(value, num_steps) else value
        for name, value in inputs.items()
    }


def _cut(values: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    cut = values[:, :width]
    cut.set_shape((values.shape[0], None, *values.shape[2:]))
    return cut
