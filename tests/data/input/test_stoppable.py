"""An iteration that waits can be stopped from another thread."""

import threading

import pytest
import tensorflow as tf

from kft.data.input.stoppable import Stoppable


def test_it_yields_what_the_data_set_holds():
    batches = tf.data.Dataset.range(5).map(lambda i: {"a": i, "b": (tf.fill([i], 2.0), "c")})
    found = list(Stoppable(batches))
    assert [int(element["a"]) for element in found] == list(range(5))
    assert found[3]["b"][0].numpy().tolist() == [2.0] * 3
    assert found[3]["b"][1].numpy() == b"c"


def test_an_error_of_the_data_set_comes_through():
    batches = tf.data.Dataset.range(3).map(lambda i: tf.io.read_file("gone"))
    with pytest.raises(tf.errors.NotFoundError, match="gone"):
        list(Stoppable(batches))


def test_it_can_be_stopped_while_it_waits():
    waits, may_go_on = threading.Event(), threading.Event()

    def wait(number):
        waits.set()
        may_go_on.wait(60.0)
        return number

    # It waits in a thread of its own, as that of another machine would.
    batches = tf.data.Dataset.range(5).map(lambda i: tf.numpy_function(wait, [i], tf.int64))
    reading = Stoppable(batches.prefetch(1))
    stopped = []

    def read():
        with pytest.raises(tf.errors.CancelledError) as caught:
            list(reading)
        stopped.append(caught.value)

    thread = threading.Thread(target=read)
    thread.start()
    assert waits.wait(60.0)
    reading.stop()
    may_go_on.set()
    thread.join(60.0)
    assert stopped


def test_stopped_beforehand_it_yields_nothing():
    reading = Stoppable(tf.data.Dataset.range(5))
    reading.stop()
    with pytest.raises(tf.errors.CancelledError):
        next(iter(reading))
