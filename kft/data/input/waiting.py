"""How long a consumer of batches waits for them."""

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

        # By Python's clock: TensorFlow's is refused where ops must be deterministic.
        def ask() -> np.ndarray:
            self._asked = self._clock()
            return np.zeros((), np.bool_)

        def arrive(_: np.ndarray) -> np.ndarray:
            self.seconds += self._clock() - self._asked
            return np.zeros((), np.bool_)

        def note(asked: tf.Tensor, batch: Any) -> Any:
            with tf.control_dependencies([tf.numpy_function(arrive, [asked], tf.bool)]):
                return tf.nest.map_structure(tf.identity, batch)

        requests = tf.data.Dataset.range(tf.int64.max).map(
            lambda _: tf.numpy_function(ask, [], tf.bool)
        )
        # A pair is asked for one after the other: first the request, then the batch.
        noted = tf.data.Dataset.zip((requests, batches)).map(note)
        options = tf.data.Options()
        # Otherwise TensorFlow would ask ahead, of itself.
        options.experimental_optimization.inject_prefetch = False
        return noted.with_options(options)
