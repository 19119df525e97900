"""State of each replica: its share of every batch, and its sums for metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.data.batches.shares import WHOLE, Share
from kft.workers import Workers


def find_share(distribution: tf.distribute.Strategy, workers: Workers) -> Share:
    """Find the share of this process, by its replicas among all."""
    replicas = distribution.num_replicas_in_sync
    if replicas == 1:
        return WHOLE
    own = len(distribution.extended.worker_devices)
    return Share(replicas, workers.number * own, own)


def distribute_batches(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Distribute a data set for `fit` under the strategy in whose scope this is called.

    Args:
        batches: Data set from `make_dataset` with the share of this process.
    """
    distribution = tf.distribute.get_strategy()
    if distribution.num_replicas_in_sync == 1:
        return batches
    return distribution.distribute_datasets_from_function(lambda context: batches)


@contextmanager
def whole_statistics(model: keras.Model) -> Iterator[None]:
    """Synchronise batch statistics over all replicas while a step is traced within the block.

    Args:
        model: Model whose batch normalisation layers may train.
    """
    layers: list[Any] = []
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        every = model._flatten_layers()
        layers = [each for each in every if isinstance(each, keras.layers.BatchNormalization)]
    before = [layer.synchronized for layer in layers]
    try:
        for layer in layers:
            layer.synchronized = True
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer.synchronized = was


def read_sums(variable: Any, workers: Workers) -> np.ndarray:
    """Read the sums of every replica from a metric's variable.

    Args:
        variable: Keras variable, whose own value would be the total over replicas.
        workers: All processes; each must call this.

    Returns:
        Array (replicas, …).
    """
    own = np.stack([component.numpy() for component in _components(variable)])
    return np.concatenate(list(workers.gather(own)))


def restore_sums(variable: Any, sums: np.ndarray, workers: Workers) -> None:
    """Restore sums from `read_sums`; if their number differs, the first replica gets the total."""
    components = _components(variable)
    replicas = len(components) * workers.count
    if len(sums) != replicas:
        # The total must count once in the sum over the replicas.
        nothing = np.zeros((replicas - 1, *sums.shape[1:]), sums.dtype)
        sums = np.concatenate([sums.sum(axis=0, keepdims=True), nothing])
    own = sums[workers.number * len(components) :]
    for component, values in zip(components, own, strict=False):
        component.assign(values)


def _components(variable: Any) -> list[Any]:
    """Return the variable of each replica of this process."""
    value = getattr(variable, "value", variable)
    return list(getattr(value, "values", (value,)))
