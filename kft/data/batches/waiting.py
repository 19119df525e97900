"""Measurement of the time that a consumer waits for batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


class Waiting:
    """Measures the time between the request for a batch and its arrival.

    What was prepared ahead arrives at once, however long that took: so this is
    what a faster input could save.

    Args:
        clock: Seconds that rise.

    Attributes:
        seconds: Waited so far, over all batches.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._asked = 0.0
        self.seconds = 0.0

    def watch(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The same batches; for one consumer on this machine, without another stage behind."""

        # By Python's clock: TensorFlow's is refused where ops must be deterministic. Not stateful,
        # or tf.data would then do nothing in parallel and nothing ahead; so what they return must
        # be of use, or they might not run.
        def ask(number: np.ndarray) -> np.ndarray:
            self._asked = self._clock()
            return number

        def arrive(number: np.ndarray) -> np.ndarray:
            self.seconds += self._clock() - self._asked
            return np.zeros((), np.int32)

        @tf.autograph.experimental.do_not_convert
        def note(number: tf.Tensor, batch: Any) -> Any:
            zero = tf.numpy_function(arrive, [number], tf.int32, stateful=False)
            first, *others = tf.nest.flatten(batch)
            rank, shape = first.shape.rank, first.shape
            # All of it, which costs no copy.
            first = tf.slice(first, [zero, *[0] * (rank - 1)], [-1] * rank)
            first = tf.ensure_shape(first, shape)
            return tf.nest.pack_sequence_as(batch, [first, *others])

        @tf.autograph.experimental.do_not_convert
        def request(number: tf.Tensor) -> tf.Tensor:
            return tf.numpy_function(ask, [number], tf.int64, stateful=False)

        requests = tf.data.Dataset.range(tf.int64.max).map(request)
        # A pair is asked for one after the other: first the request, then the batch.
        noted = tf.data.Dataset.zip((requests, batches)).map(note)
        options = tf.data.Options()
        # Otherwise TensorFlow would ask ahead, of itself.
        options.experimental_optimization.inject_prefetch = False
        options.experimental_optimization.map_parallelization = False
        return noted.with_options(options)
