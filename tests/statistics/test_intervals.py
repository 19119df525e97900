"""Confidence intervals have the stated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kft.statistics import paired_mean, paired_proportions, wilson_interval


def draw_pairs(rng, count: int, both: float, only_before: float, only_after: float):
    kinds = rng.choice(
        4, size=count, p=[both, only_before, only_after, 1 - both - only_before - only_after]
    )
    return kinds <= 1, (kinds == 0) | (kinds == 2)


# Coverage


@pytest.mark.parametrize("count", [50, 100, 200, 500])
@pytest.mark.parametrize("only_before, only_after", [(0.1, 0.1), (0.05, 0.15), (0.05, 0.2)])
def test_the_interval_of_an_accuracy_gain_covers_95_percent(count, only_before, only_after):
    rng = np.random.default_rng(count)
    held = 0
    for _ in range(1500):
        difference = paired_proportions(*draw_pairs(rng, count, 0.65, only_before, only_after))
        held += difference.low <= only_after - only_before <= difference.high
    assert 0.93 <= held / 1500 <= 0.97


@pytest.mark.parametrize("count", [50, 100, 200, 500])
def test_the_interval_of_a_loss_gain_covers_95_percent(count):
    """Differences of losses are drawn from two noisy models, skewed like real ones."""
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


@given(st.integers(1, 200), st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1))
def test_the_interval_of_proportions_holds_the_gain_and_is_antisymmetric(count, seed, p, q):
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
def test_the_wilson_interval_equals_published_values(correct, total, low, high):
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_the_wilson_interval_holds_the_proportion_and_narrows_with_examples():
    widths = []
    for total in (10, 100, 1000):
        low, high = wilson_interval(total * 9 // 10, total)
        assert 0 <= low < 0.9 < high <= 1
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
