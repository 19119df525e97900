"""Intervals of figures, and of differences between two models on the same examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats


@dataclass(frozen=True)
class Difference:
    """A difference with its 95 % confidence interval; above 0 the second model is better.

    Attributes:
        gain: As measured.
        low: Of the interval.
        high: Of the interval.
    """

    gain: float
    low: float
    high: float

    def describe(self) -> dict[str, float | None]:
        """JSON values; None for an end that a single example leaves open."""
        ends = {"low": self.low, "high": self.high}
        return {"gain": self.gain} | {k: v if math.isfinite(v) else None for k, v in ends.items()}

    def __str__(self) -> str:
        return f"{self.gain:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_mean(differences: np.ndarray) -> Difference:
    """The mean of paired differences with Student's interval; open for a single one.

    Args:
        differences: (examples,)
    """
    count, gain = len(differences), float(np.mean(differences))
    if count < 2:
        return Difference(gain, -math.inf, math.inf)
    error = float(np.std(differences, ddof=1)) / math.sqrt(count)
    half = float(special.stdtrit(count - 1, 0.975)) * error
    return Difference(gain, gain - half, gain + half)


def paired_proportions(before: np.ndarray, after: np.ndarray) -> Difference:
    """The difference of two proportions over the same examples, with Newcombe's interval.

    Wilson's intervals of both proportions are combined by their correlation.
    Unlike Wald's it holds its level where few examples differ.

    Args:
        before: Whether the first model is right, bool (examples,).
        after: Whether the second is.
    """
    count = len(before)
    first, second = float(np.mean(before)), float(np.mean(after))
    first_low, first_high = wilson_interval(int(np.sum(before)), count)
    second_low, second_high = wilson_interval(int(np.sum(after)), count)
    spread = math.sqrt(first * (1 - first) * second * (1 - second))
    both = float(np.mean(before & after))
    # Without spread in one of them there is no correlation to speak of.
    correlation = (both - first * second) / spread if spread > 0 else 0.0
    gain = second - first
    low = _combine(second - second_low, first_high - first, correlation)
    high = _combine(second_high - second, first - first_low, correlation)
    return Difference(gain, gain - low, gain + high)


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """Interval of 95 % of a proportion, by Wilson's score method.

    Unlike the normal approximation it holds for few examples and shares near 1.

    Source: Wilson, Probable Inference, JASA 22 (1927).
    """
    low, high = stats.binomtest(correct, total).proportion_ci(method="wilson")
    return float(low), float(high)


def _combine(one: float, other: float, correlation: float) -> float:
    """Length of the difference of two vectors with this cosine."""
    return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))
