"""A gain is told from chance as often as is claimed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kft.training.comparison import (
    compare,
    example_losses,
    paired_mean,
    paired_proportions,
    wilson_interval,
)


def answers(targets: np.ndarray, right: np.ndarray, confidence: float = 0.7) -> np.ndarray:
    """Probabilities of three classes whose best one is the target where `right`."""
    outputs = np.full((len(targets), 3), (1 - confidence) / 2)
    outputs[np.arange(len(targets)), np.where(right, targets, (targets + 1) % 3)] = confidence
    return outputs


def draw_pairs(rng, count: int, both: float, only_before: float, only_after: float):
    kinds = rng.choice(
        4, size=count, p=[both, only_before, only_after, 1 - both - only_before - only_after]
    )
    return kinds <= 1, (kinds == 0) | (kinds == 2)


# Coverage


@pytest.mark.parametrize("count", [50, 100, 200, 500])
@pytest.mark.parametrize("only_before, only_after", [(0.1, 0.1), (0.05, 0.15), (0.05, 0.2)])
def test_the_interval_of_an_accuracy_gain_holds_the_truth_95_times_of_100(
    count, only_before, only_after
):
    rng = np.random.default_rng(count)
    held = 0
    for _ in range(1500):
        difference = paired_proportions(*draw_pairs(rng, count, 0.65, only_before, only_after))
        held += difference.low <= only_after - only_before <= difference.high
    assert 0.93 <= held / 1500 <= 0.97


@pytest.mark.parametrize("count", [50, 100, 200, 500])
def test_the_interval_of_a_loss_gain_holds_the_truth_95_times_of_100(count):
    """Differences of the losses of two noisy judges, which are skewed as real ones are."""
    rng = np.random.default_rng(count)

    def draw(size):
        easy = rng.normal(1.5, 1.5, size)
        before, after = (easy + rng.normal(shift, 0.7, size) for shift in (0.0, 0.3))
        return np.logaddexp(0, -before) - np.logaddexp(0, -after)

    truth = draw(500_000).mean()
    held = 0
    for _ in range(1500):
        difference = paired_mean(draw(count))
        held += difference.low <= truth <= difference.high
    assert 0.93 <= held / 1500 <= 0.97


@pytest.mark.parametrize("count", [50, 200])
def test_equal_models_are_seldom_called_better(count):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, count)
    called = 0
    for _ in range(1000):
        before, after = (np.exp(rng.normal(0, 0.8, (count, 3))) for _ in range(2))
        for outputs in (before, after):
            outputs[np.arange(count), targets] *= 4
        before, after = (v / v.sum(axis=1, keepdims=True) for v in (before, after))
        called += compare(before, after, targets, "class").is_better
    assert called / 1000 <= 0.06


# What is decided


def test_a_clear_gain_in_accuracy_is_better():
    targets = np.arange(60) % 3
    right_before, right_after = np.arange(60) < 40, np.arange(60) < 52
    found = compare(answers(targets, right_before), answers(targets, right_after), targets, "class")
    assert found.is_better
    assert found.accuracy.gain == pytest.approx(0.2)
    assert found.accuracy.low > 0
    assert found.leading is found.accuracy
    assert "better beyond the 95 % interval over 60 examples" in str(found)


def test_one_more_right_of_fifty_is_not():
    targets = np.arange(50) % 3
    right_after = np.arange(50) < 41
    found = compare(
        answers(targets, np.arange(50) < 40), answers(targets, right_after), targets, "class"
    )
    assert not found.is_better
    assert found.accuracy.low < 0 < found.accuracy.gain


def test_surer_answers_decide_where_the_accuracy_stays():
    rng = np.random.default_rng(0)
    targets = np.arange(50) % 3
    right = np.arange(50) < 45
    before = answers(targets, right, 0.6)
    after = before.copy()
    after[right] = answers(targets, right, 0.9)[right]
    after += rng.uniform(0, 1e-3, after.shape)
    assert compare(before, after, targets, "class").is_better


def test_a_lower_loss_does_not_pay_for_a_lower_accuracy():
    """Every answer but one is far surer; that one is now wrong, by a hair."""
    targets = np.zeros(50, np.int64)
    before = answers(targets, np.ones(50, bool), 0.5)
    after = answers(targets, np.ones(50, bool), 0.9)
    after[0] = [0.45, 0.46, 0.09]
    found = compare(before, after, targets, "class")
    assert found.loss.low > 0
    assert found.accuracy.gain < 0
    assert not found.is_better


def test_a_model_is_no_better_than_itself():
    targets = np.arange(50) % 3
    outputs = answers(targets, np.arange(50) < 40)
    found = compare(outputs, outputs, targets, "class")
    assert not found.is_better
    assert found.accuracy.gain == found.loss.gain == 0.0
    assert found.accuracy.low <= 0.0 <= found.accuracy.high


@pytest.mark.parametrize("kind", ["labels", "number"])
def test_labels_and_numbers_are_compared_by_their_loss(kind):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (60, 2)).astype(np.float32)
    far, near = (np.clip(targets + rng.normal(0, s, (60, 2)), 0.01, 0.99) for s in (0.4, 0.1))
    found = compare(far, near, targets, kind)
    assert found.accuracy is None
    assert found.leading is found.loss
    assert found.is_better
    assert not compare(near, far, targets, kind).is_better


def test_a_single_example_decides_nothing_and_is_still_json():
    targets = np.array([[1.0]])
    found = compare(np.array([[0.1]]), np.array([[0.9]]), targets, "number")
    assert not found.is_better
    described = json.loads(json.dumps(found.describe(), allow_nan=False))
    assert described["loss"] == {"gain": pytest.approx(0.8), "low": None, "high": None}


# Losses and intervals


def test_losses_are_the_textbook_ones():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    classes = example_losses(probabilities, np.array([0, 0]), "class")
    assert classes == pytest.approx([-math.log(0.7), -math.log(1e-7)])
    labels = example_losses(np.array([[0.8, 0.4]]), np.array([[1.0, 0.0]]), "labels")
    assert labels == pytest.approx([-(math.log(0.8) + math.log(0.6)) / 2])
    numbers = example_losses(np.array([[3.0, 5.0]]), np.array([[1.0, 2.0]]), "number")
    assert numbers == pytest.approx([(4.0 + 9.0) / 2])


@given(st.integers(1, 200), st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_the_interval_of_proportions_holds_the_gain_and_turns_with_the_models(count, seed, p, q):
    rng = np.random.default_rng(seed)
    before, after = rng.random(count) < p, rng.random(count) < q
    found, turned = paired_proportions(before, after), paired_proportions(after, before)
    assert -1.0 - 1e-12 <= found.low <= found.gain <= found.high <= 1.0 + 1e-12
    assert (turned.gain, turned.low, turned.high) == pytest.approx(
        (-found.gain, -found.high, -found.low)
    )
    if not np.any(before != after):
        assert found.low <= 0.0 <= found.high


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # By symmetry with none of twenty.
        (20, 20, 0.8389, 1.0000),
        # One half: (1/2 ± z sqrt(1/4n + z²/4n²)/(1 + z²/n) by hand.
        (1, 2, 0.0945, 0.9055),
    ],
)
def test_the_wilson_interval_is_the_published_one(correct, total, low, high):
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_the_wilson_interval_holds_its_share_and_narrows_with_examples():
    widths = []
    for total in (10, 100, 1000):
        low, high = wilson_interval(total * 9 // 10, total)
        assert 0 <= low < 0.9 < high <= 1
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
