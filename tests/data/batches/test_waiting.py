"""The time that a consumer waits for batches, and nothing else."""

import numpy as np
import tensorflow as tf

from kft.data.batches.waiting import Waiting


class Clock:
    """One that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


def make_batches(clock: Clock, seconds: float) -> tf.data.Dataset:
    """Six batches that take so long each, made when they are asked for."""

    def load(index):
        clock.work(seconds)
        return index

    return (
        tf.data.Dataset.range(6)
        .batch(1)
        .map(lambda i: (tf.ensure_shape(tf.numpy_function(load, [i], tf.int64), (1,)), i * i))
    )


def test_what_passes_until_a_batch_arrives_is_waiting():
    clock = Clock()
    waiting = Waiting(clock)
    batches = [(int(x[0]), int(y[0])) for x, y in waiting.watch(make_batches(clock, 5.0))]
    assert batches == [(i, i * i) for i in range(6)]
    assert waiting.seconds == 6 * 5.0


def test_what_the_consumer_does_in_between_is_not():
    clock = Clock()
    waiting = Waiting(clock)
    for _ in waiting.watch(make_batches(clock, 0.0)):
        clock.work(7.0)
    assert waiting.seconds == 0.0


def test_what_was_made_ahead_arrives_at_once():
    clock = Clock()
    waiting = Waiting(clock)
    stored = list(make_batches(clock, 5.0).as_numpy_iterator())
    made = tf.data.Dataset.from_tensor_slices(
        tuple(np.array(part) for part in zip(*stored, strict=True))
    )
    for _ in waiting.watch(made):
        clock.work(1.0)
    assert waiting.seconds == 0.0


def test_the_batches_keep_their_structure():
    batches = tf.data.Dataset.range(8).batch(2).map(lambda x: {"a": x, "b": (x, x)})
    watched = Waiting().watch(batches)
    assert watched.element_spec == batches.element_spec
