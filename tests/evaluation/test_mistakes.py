"""The mistakes that are shown first are the worst."""

from __future__ import annotations

import numpy as np

from kft.evaluation.mistakes import (
    count_confusions,
    find_confusions,
    find_highest_losses,
    order_classes,
)


def test_the_highest_losses_come_first():
    assert find_highest_losses(np.array([0.1, 3.0, 0.2, 3.0]), 3).tolist() == [1, 3, 2]


def test_confused_pairs_hold_their_examples_the_surest_first():
    targets = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([1, 1, 0, 1, 0, 2])
    confidence = np.array([0.6, 0.9, 0.9, 0.9, 0.7, 0.9])
    first, second = find_confusions(targets, predicted, confidence)
    assert (first.true, first.predicted, first.examples.tolist()) == (0, 1, [1, 0])
    assert first.share == 2 / 3
    assert (second.true, second.predicted, second.examples.tolist()) == (1, 0, [4])
    assert find_confusions(targets, targets, confidence) == []


def test_confusions_are_counted_by_true_and_answered_class():
    counts = count_confusions(np.array([0, 0, 2]), np.array([1, 1, 2]), 3)
    assert counts.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_confused_classes_become_neighbours():
    confusion = np.eye(30, dtype=int) * 10
    for first, second in ((2, 27), (5, 14)):
        confusion[first, second] = confusion[second, first] = 8
    order = order_classes(confusion).tolist()
    assert sorted(order) == list(range(30))
    for first, second in ((2, 27), (5, 14)):
        assert abs(order.index(first) - order.index(second)) == 1
    assert order_classes(confusion[:20, :20]).tolist() == list(range(20))
