"""Baselines answer from stored features, and the learning curve falls with the labels."""

from __future__ import annotations

import numpy as np
from scipy import special

from kft.evaluation.baselines import (
    FeatureSet,
    apply_linear,
    ask_neighbours,
    measure_learning,
    solve_probe,
)
from kft.linear import LinearTargets
from kft.tasks import find_task


def draw(count: int, seed: int, num_classes: int = 4):
    random = np.random.default_rng(seed)
    classes = np.arange(count) % num_classes
    centres = np.random.default_rng(7).normal(0, 1, (num_classes, 20))
    return (centres[classes] + random.normal(0, 1.4, (count, 20))).astype(np.float32), classes


def make_set(count: int = 400, groups: np.ndarray | None = None):
    (train, classes), (asked, truth) = draw(count, 0), draw(200, 1)
    targets = LinearTargets(np.eye(4, dtype=np.float32)[classes], groups=groups)
    loss = find_task("class").linear
    return FeatureSet(train, asked, targets, loss, lambda x: special.softmax(x, axis=1)), truth


def judge_against(truth: np.ndarray):
    return lambda outputs: outputs.argmax(axis=1) != truth


def test_neighbours_and_a_probe_learn_classes():
    features, truth = make_set()
    near = ask_neighbours(features, lambda shares: shares)
    probe, solution = solve_probe(features)
    for each in (near, probe):
        assert (each.outputs.argmax(axis=1) == truth).mean() > 0.7
    assert near.num_numbers == 400 * 20 and probe.num_numbers == 80
    logits = apply_linear(features.asked, solution.kernel, solution.bias)
    assert np.allclose(special.softmax(logits, axis=1), probe.outputs)


def test_a_nearer_example_decides_between_two_classes():
    loss = find_task("class").linear
    targets = LinearTargets(np.eye(2, dtype=np.float32))
    known = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    asked = np.array([[2.0, 1.9], [1.9, 2.0]], np.float32)
    found = ask_neighbours(FeatureSet(known, asked, targets, loss, lambda x: x), lambda x: x)
    assert found.outputs.argmax(axis=1).tolist() == [0, 1]


def test_a_thousand_classes_get_no_probe_of_minutes():
    features, _ = make_set()
    wide = LinearTargets(np.zeros((400, 100_000), np.float32))
    assert solve_probe(FeatureSet(features.train, features.asked, wide, features.loss, abs)) is None


def test_the_error_falls_with_the_labels_and_groups_are_taken_whole():
    for groups in (None, np.repeat(np.arange(40), 10)):
        features, truth = make_set(groups=groups)
        _, solution = solve_probe(features)
        points = list(measure_learning(features, solution.penalty, judge_against(truth)))
        assert [point.labels for point in points] == [40, 100, 200, 400]
        assert points[0].error > points[-1].error + 0.03
        assert all(0 < point.deviation < 0.05 for point in points)


def test_shares_of_too_few_labels_are_no_points():
    features, truth = make_set(24)
    points = measure_learning(features, 1.0, judge_against(truth))
    assert [point.labels for point in points] == [12, 24]
