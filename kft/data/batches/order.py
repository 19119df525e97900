"""Order of the examples: a pure function of (seed, epoch, position)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import tensorflow as tf

from kft.errors import ConfigError

Sampling = Literal["natural", "balanced"]

# (epoch int64 (), positions int64 (batch)) -> (times, indices), both int64 (batch): which example
# comes at each position of the epoch, and its occurrence index, from 0. This decides augmentation
# and view, so that an example that comes twice in an epoch comes in two ways.
Order = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def make_order(targets: np.ndarray, *, sampling: Sampling, shuffle_seed: int | None) -> Order:
    """The order of examples with these targets.

    Args:
        targets: Of all examples.
        sampling: `natural`: each epoch is a permutation of the examples.
            `balanced`: it has as many draws as there are examples, equally many
            (but for one) of each class; within it the examples of a class come
            equally often (but for one), and over the epochs too.
        shuffle_seed: None for the order of the examples; with `balanced`, for
            the classes in turn.

    Raises:
        ConfigError: `balanced`, but targets are no classes.
    """
    if sampling == "natural":
        return lambda epoch, positions: (
            tf.fill(tf.shape(positions), epoch),
            _shuffle(positions, epoch, len(targets), shuffle_seed),
        )
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
        raise ConfigError(
            "training.sampling: 'balanced' draws each class equally often, but the targets of "
            "these data are labels or numbers, not classes. Use 'natural'."
        )
    return _balance(targets, shuffle_seed)


def _shuffle(
    positions: tf.Tensor, epoch: tf.Tensor, num_examples: int, seed: int | None
) -> tf.Tensor:
    if seed is None:
        return positions
    key = tf.stack([tf.cast(seed, tf.int64), epoch])
    return tf.random.experimental.index_shuffle(positions, key, num_examples - 1)


def _balance(targets: np.ndarray, seed: int | None) -> Order:
    num_examples = len(targets)
    classes, counts = np.unique(targets, return_counts=True)
    # The examples by class, each class in an order of its own that holds for the whole run.
    members = [np.flatnonzero(targets == index) for index in classes]
    if seed is not None:
        members = [np.random.default_rng([seed, i]).permutation(m) for i, m in enumerate(members)]
    by_class = tf.constant(np.concatenate(members))
    sizes = tf.constant(counts, tf.int64)
    starts = tf.constant(np.cumsum(counts) - counts, tf.int64)

    def order(epoch: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The draws of all epochs go round the classes, and those of a class round its members:
        # any stretch of them, such as an epoch, has every class and member equally often.
        draws = epoch * num_examples + _shuffle(positions, epoch, num_examples, seed)
        which, turn = draws % len(classes), draws // len(classes)
        size = tf.gather(sizes, which)
        return turn // size, tf.gather(by_class, tf.gather(starts, which) + turn % size)

    return order
