"""Share of each batch that a process computes if several replicas compute it together."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Share:
    """The replicas of one process among all that compute a batch together.

    Every replica gets equally many examples of each batch. A last batch may have too few: then
    some come once more, with a weight of zero, so that every example counts once.

    Attributes:
        num_replicas: Of all processes.
        first: Number of this process's first one.
        count: How many this process has.
    """

    num_replicas: int = 1
    first: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        assert self.first >= 0 and 0 < self.count <= self.num_replicas - self.first

    @property
    def is_whole(self) -> bool:
        """Whether there is but one replica."""
        return self.num_replicas == 1

    def find_places(self, size: tf.Tensor, batch_size: int) -> tf.Tensor:
        """Places within a batch of the examples that this process computes, int64 (examples,).

        Args:
            size: Of the batch, which the last one of an epoch may have less of.
            batch_size: Of the others; the replicas divide it.
        """
        return tf.minimum(self._range(batch_size), tf.cast(size, tf.int64) - 1)

    def find_weights(self, size: tf.Tensor, batch_size: int) -> tf.Tensor:
        """Weight of each of those examples, float32 (examples,).

        A mean over all places, those of other replicas included, is with these weights the mean
        over the examples of the batch.
        """
        is_first_time = self._range(batch_size) < tf.cast(size, tf.int64)
        return tf.cast(is_first_time, tf.float32) * (batch_size / tf.cast(size, tf.float32))

    def split(self, values: tf.Tensor, batch_size: int) -> tf.Tensor:
        """The examples of this process (examples, …) by replica: (replicas, examples, …)."""
        each = batch_size // self.num_replicas
        shape = tf.concat([[self.count, each], tf.shape(values)[1:]], axis=0)
        return tf.ensure_shape(tf.reshape(values, shape), (self.count, each, *values.shape[1:]))

    def _range(self, batch_size: int) -> tf.Tensor:
        each = batch_size // self.num_replicas
        first = self.first * each
        return tf.range(first, first + self.count * each, dtype=tf.int64)


WHOLE = Share()
"""One replica, which computes whole batches."""
