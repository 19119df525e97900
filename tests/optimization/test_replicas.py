"""Sums of a metric are kept per replica and survive a change in the number of replicas."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.optimization.replicas import read_sums, restore_sums
from kft.workers import ALONE


def make_metric(*sums: float) -> SimpleNamespace:
    """Imitate a Keras variable under a strategy: one component per replica of this process."""
    components = [tf.Variable(value) for value in sums]
    return SimpleNamespace(value=SimpleNamespace(values=components))


def read(metric: SimpleNamespace) -> list[float]:
    return [float(component) for component in metric.value.values]


def test_the_sums_of_one_replica_are_the_variable():
    variable = keras.Variable([1.0, 2.0])
    sums = read_sums(variable, ALONE)
    assert sums.tolist() == [[1.0, 2.0]]
    variable.assign([0.0, 0.0])
    restore_sums(variable, sums, ALONE)
    assert variable.numpy().tolist() == [1.0, 2.0]


def test_each_replica_of_each_worker_gets_its_own_sum_back(make_team):
    metrics = [make_metric(1.0, 2.0), make_metric(3.0, 4.5)]
    taken = make_team(2)(lambda workers: read_sums(metrics[workers.number], workers))
    assert [sums.tolist() for sums in taken] == [[1.0, 2.0, 3.0, 4.5]] * 2
    others = [make_metric(0.0, 0.0), make_metric(0.0, 0.0)]
    make_team(2)(lambda workers: restore_sums(others[workers.number], taken[0], workers))
    assert [read(metric) for metric in others] == [[1.0, 2.0], [3.0, 4.5]]


@pytest.mark.parametrize("count", [1, 3])
def test_another_number_of_replicas_gets_the_sum_once(make_team, count):
    sums = np.array([1.0, 2.0, 3.0, 4.5], np.float32)
    metrics = [make_metric(9.0) for _ in range(count)]
    make_team(count)(lambda workers: restore_sums(metrics[workers.number], sums, workers))
    assert [read(metric) for metric in metrics] == [[10.5], *[[0.0]] * (count - 1)]
