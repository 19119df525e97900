"""Comparisons find gains, and find false gains as rarely as claimed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from kft.selection.comparison import compare
from kft.tasks import find_task

CLASSES, LABELS, NUMBERS = map(find_task, ("class", "labels", "number"))


def answers(targets: np.ndarray, right: np.ndarray, confidence: float = 0.7) -> np.ndarray:
    """Make probabilities of three classes, with the highest at the target where `right`."""
    outputs = np.full((len(targets), 3), (1 - confidence) / 2)
    outputs[np.arange(len(targets)), np.where(right, targets, (targets + 1) % 3)] = confidence
    return outputs


@pytest.mark.parametrize("count", [50, 200])
def test_equal_models_are_rarely_called_better(count):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, count)
    called = 0
    for _ in range(1000):
        before, after = (np.exp(rng.normal(0, 0.8, (count, 3))) for _ in range(2))
        for outputs in (before, after):
            outputs[np.arange(count), targets] *= 4
        before, after = (v / v.sum(axis=1, keepdims=True) for v in (before, after))
        called += compare(before, after, targets, CLASSES).is_better
    assert called / 1000 <= 0.06


# Decisions


def test_a_clear_gain_in_accuracy_is_better():
    targets = np.arange(60) % 3
    right_before, right_after = np.arange(60) < 40, np.arange(60) < 52
    found = compare(answers(targets, right_before), answers(targets, right_after), targets, CLASSES)
    assert found.is_better
    assert found.accuracy.gain == pytest.approx(0.2)
    assert found.accuracy.low > 0
    assert found.leading is found.accuracy
    assert "better beyond the 95 % interval over 60 examples" in str(found)


def test_one_more_right_answer_of_fifty_is_not_better():
    targets = np.arange(50) % 3
    right_after = np.arange(50) < 41
    found = compare(
        answers(targets, np.arange(50) < 40), answers(targets, right_after), targets, CLASSES
    )
    assert not found.is_better
    assert found.accuracy.low < 0 < found.accuracy.gain


def test_more_confident_answers_decide_at_equal_accuracy():
    rng = np.random.default_rng(0)
    targets = np.arange(50) % 3
    right = np.arange(50) < 45
    before = answers(targets, right, 0.6)
    after = before.copy()
    after[right] = answers(targets, right, 0.9)[right]
    after += rng.uniform(0, 1e-3, after.shape)
    assert compare(before, after, targets, CLASSES).is_better


def test_a_lower_loss_does_not_outweigh_a_lower_accuracy():
    """All answers but one are far more confident; that one is now barely wrong."""
    targets = np.zeros(50, np.int64)
    before = answers(targets, np.ones(50, bool), 0.5)
    after = answers(targets, np.ones(50, bool), 0.9)
    after[0] = [0.45, 0.46, 0.09]
    found = compare(before, after, targets, CLASSES)
    assert found.loss.low > 0
    assert found.accuracy.gain < 0
    assert not found.is_better


def test_a_model_is_not_better_than_itself():
    targets = np.arange(50) % 3
    outputs = answers(targets, np.arange(50) < 40)
    found = compare(outputs, outputs, targets, CLASSES)
    assert not found.is_better
    assert found.accuracy.gain == found.loss.gain == 0.0
    assert found.accuracy.low <= 0.0 <= found.accuracy.high


@pytest.mark.parametrize("kind", ["labels", "number"])
def test_labels_and_numbers_are_compared_by_their_loss(kind):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (60, 2)).astype(np.float32)
    far, near = (np.clip(targets + rng.normal(0, s, (60, 2)), 0.01, 0.99) for s in (0.4, 0.1))
    found = compare(far, near, targets, find_task(kind))
    assert found.accuracy is None
    assert found.leading is found.loss
    assert found.is_better
    assert not compare(near, far, targets, find_task(kind)).is_better


def test_a_single_example_decides_nothing_and_is_valid_json():
    targets = np.array([[1.0]])
    found = compare(np.array([[0.1]]), np.array([[0.9]]), targets, NUMBERS)
    assert not found.is_better
    described = json.loads(json.dumps(found.describe(), allow_nan=False))
    assert described["loss"] == {"gain": pytest.approx(0.8), "low": None, "high": None}


# Losses and intervals


def test_losses_match_their_formulas():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    classes = CLASSES.figures.example_losses(probabilities, np.array([0, 0]))
    assert classes == pytest.approx([-math.log(0.7), -math.log(1e-7)])
    labels = LABELS.figures.example_losses(np.array([[0.8, 0.4]]), np.array([[1.0, 0.0]]))
    assert labels == pytest.approx([-(math.log(0.8) + math.log(0.6)) / 2])
    numbers = NUMBERS.figures.example_losses(np.array([[3.0, 5.0]]), np.array([[1.0, 2.0]]))
    assert numbers == pytest.approx([(4.0 + 9.0) / 2])
