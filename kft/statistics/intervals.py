"""Confidence intervals of metrics, and of differences between two models on the same examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Difference:
    """A difference between two models with its 95 % confidence interval.

    Attributes:
        gain: The difference; above 0, the second model is better.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    gain: float
    low: float
    high: float

    def describe(self) -> dict[str, float | None]:
        """Describe the difference by JSON values; None for the open ends of a single example."""
        ends = {"low": self.low, "high": self.high}
        return {"gain": self.gain} | {k: v if math.isfinite(v) else None for k, v in ends.items()}

    @classmethod
    def restore(cls, values: Mapping[str, float | None]) -> Difference:
        """Restore a difference from the result of `describe`."""
        gain, low, high = (values[name] for name in ("gain", "low", "high"))
        assert gain is not None
        return cls(gain, -math.inf if low is None else low, math.inf if high is None else high)

    @property
    def is_gain(self) -> bool:
        """Whether the second model is better beyond the interval."""
        return self.low > 0

    @property
    def is_loss(self) -> bool:
        """Whether the second model is worse beyond the interval."""
        return self.high < 0

    def __str__(self) -> str:
        return f"{self.gain:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired_mean(differences: np.ndarray) -> Difference:
    """Mean of paired differences, with Student's confidence interval.

    >>> str(paired_mean(np.array([0.1, 0.2, 0.3])))
    '+0.200 [-0.048, +0.448]'

    Args:
        differences: Difference on each example (examples,), at least one.

    Returns:
        The mean and its interval, which is unbounded for a single example.
    """
    count, gain = len(differences), float(np.mean(differences))
    if count < 2:
        return Difference(gain, -math.inf, math.inf)
    error = float(np.std(differences, ddof=1)) / math.sqrt(count)
    half = float(special.stdtrit(count - 1, 0.975)) * error
    return Difference(gain, gain - half, gain + half)


def paired_proportions(before: np.ndarray, after: np.ndarray) -> Difference:
    """Difference of two proportions over the same examples, with Newcombe's interval.

    Wilson's intervals of both proportions are combined by their correlation.
    Unlike Wald's interval, it holds its level if few examples differ.

    >>> wrong, right = np.zeros(50, bool), np.ones(50, bool)
    >>> paired_proportions(wrong, right).gain
    1.0

    Args:
        before: Whether the first model is right, bool (examples,).
        after: Whether the second model is right, bool (examples,).

    Source: Newcombe, Improved Confidence Intervals for the Difference between Binomial
    Proportions Based on Paired Data, Statistics in Medicine 17 (1998).
    """
    count = len(before)
    first, second = float(np.mean(before)), float(np.mean(after))
    first_low, first_high = wilson_interval(int(np.sum(before)), count)
    second_low, second_high = wilson_interval(int(np.sum(after)), count)
    spread = math.sqrt(first * (1 - first) * second * (1 - second))
    both = float(np.mean(before & after))
    # The correlation is undefined if one of the proportions is 0 or 1.
    correlation = (both - first * second) / spread if spread > 0 else 0.0
    gain = second - first
    low = _combine(second - second_low, first_high - first, correlation)
    high = _combine(second_high - second, first - first_low, correlation)
    return Difference(gain, gain - low, gain + high)


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of a proportion, by Wilson's score method.

    Unlike the normal approximation, it is valid for few examples and proportions near 1.

    >>> [round(end, 3) for end in wilson_interval(9, 10)]
    [0.596, 0.982]

    Args:
        correct: Number of successes.
        total: Number of trials, at least 1.

    Source: Wilson, Probable Inference, JASA 22 (1927).
    """
    low, high = wilson_intervals(np.array(correct), np.array(total)).tolist()
    return low, high


def wilson_intervals(correct: np.ndarray, total: np.ndarray, *, error: float = 0.05) -> np.ndarray:
    """Wilson's confidence intervals (…, 2) of several proportions; NaN for no trials.

    Args:
        correct: Numbers of successes (…).
        total: Numbers of trials (…).
        error: Probability that an interval misses its proportion.
    """
    square = float(special.ndtri(1 - error / 2)) ** 2
    count = np.where(total > 0, total, np.nan)
    middle = (correct + square / 2) / (count + square)
    spread = np.sqrt(square * (correct * (count - correct) / count + square / 4))
    half = spread / (count + square)
    low = np.where(correct == 0, 0.0 * count, middle - half)
    high = np.where(correct == total, 0.0 * count + 1.0, middle + half)
    return np.stack([low, high], axis=-1)


def _combine(one: float, other: float, correlation: float) -> float:
    """Length of the difference of two vectors with the cosine `correlation`."""
    return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))
