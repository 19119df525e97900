"""What is each replica's own: its part of every batch, and its sums of the figures."""

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
    """Which replicas of all are those of this process."""
    replicas = distribution.num_replicas_in_sync
    if replicas == 1:
        return WHOLE
    own = len(distribution.extended.worker_devices)
    return Share(replicas, workers.number * own, own)


def spread(batches: tf.data.Dataset) -> tf.data.Dataset:
    """A data set as `fit` takes it under the strategy in whose scope this is called.

    Args:
        batches: From `make_dataset` with the share of this process.
    """
    distribution = tf.distribute.get_strategy()
    if distribution.num_replicas_in_sync == 1:
        return batches
    return distribution.distribute_datasets_from_function(lambda context: batches)


@contextmanager
def whole_statistics(model: keras.Model) -> Iterator[None]:
    """While a step is traced: normalisation takes its statistics over all replicas' examples.

    Args:
        model: Whose batch normalisation layers may train.
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


def take_sums(variable: Any, workers: Workers) -> np.ndarray:
    """What each replica has summed up so far in a variable of a metric: (replicas, …).

    Args:
        variable: Keras's, whose value several replicas would answer with their sum.
        workers: All processes; each must call this.
    """
    own = np.stack([component.numpy() for component in _components(variable)])
    return np.concatenate(list(workers.gather(own)))


def put_sums(variable: Any, sums: np.ndarray, workers: Workers) -> None:
    """Put back what `take_sums` gave; other replicas than then get the sum in the first of all."""
    components = _components(variable)
    replicas = len(components) * workers.count
    if len(sums) != replicas:
        # To take part in the sum over the replicas once.
        nothing = np.zeros((replicas - 1, *sums.shape[1:]), sums.dtype)
        sums = np.concatenate([sums.sum(axis=0, keepdims=True), nothing])
    own = sums[workers.number * len(components) :]
    for component, values in zip(components, own, strict=False):
        component.assign(values)


def _components(variable: Any) -> list[Any]:
    """The variable of each replica of this process."""
    value = getattr(variable, "value", variable)
    return list(getattr(value, "values", (value,)))
