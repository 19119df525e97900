"""Whether one model answers the same examples better than another, beyond chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

# Keeps the logarithm of a float32 probability finite; one such answer costs 16.
_LEAST_PROBABILITY = 1e-7


# Where all examples are right and sure, a fall in the sixth place is beyond chance too.
LEAST_FALL = 1e-3


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


@dataclass(frozen=True)
class Comparison:
    """Two models on the same examples, before and after.

    Attributes:
        accuracy: By how much the accuracy rose; None but for classes.
        loss: By how much the mean loss fell.
        num_examples: How many both answered.
        is_better: The rise of the accuracy is beyond its interval, or the
            fall of the loss is beyond its own, large enough to matter, and the
            accuracy is no lower.
    """

    accuracy: Difference | None
    loss: Difference
    num_examples: int
    is_better: bool

    @property
    def leading(self) -> Difference:
        """The difference to tell: of the accuracy where there is one, else of the loss."""
        return self.accuracy or self.loss

    def describe(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "accuracy": self.accuracy.describe() if self.accuracy else None,
            "loss": self.loss.describe(),
            "examples": self.num_examples,
            "is_better": self.is_better,
        }

    def __str__(self) -> str:
        verdict = "better" if self.is_better else "not better"
        accuracy = f"accuracy {self.accuracy}, " if self.accuracy else ""
        return (
            f"{verdict} beyond the 95 % interval over {self.num_examples} examples: "
            f"{accuracy}fall of the loss {self.loss}"
        )


def compare(
    before_outputs: np.ndarray,
    after_outputs: np.ndarray,
    targets: np.ndarray,
    target_kind: str,
) -> Comparison:
    """How much better the second outputs are than the first, on the same examples.

    Both models answer the same examples, so the differences are taken example
    by example: what makes an example hard for both cancels out. Accuracy on 50
    examples moves in steps of 2 %, too coarse for many a true gain; the
    logarithmic loss is finer, so either may decide. Each wrongly calls a
    model better in about one of 40 comparisons of equal ones.

    Args:
        before_outputs: Probabilities or standardised numbers (examples, outputs) of the first
            model.
        after_outputs: Of the second, for the same examples.
        targets: As `Head.standardise` gives them.
        target_kind: 'class', 'labels' or 'number'.

    Source: Newcombe, Improved confidence intervals for the difference between
    binomial proportions based on paired data, Statistics in Medicine 17
    (1998), 2635-2650, for accuracies; Student's t of paired differences for
    losses.
    """
    falls = example_losses(before_outputs, targets, target_kind) - example_losses(
        after_outputs, targets, target_kind
    )
    loss = paired_mean(falls)
    is_fall = loss.low > 0 and loss.gain >= LEAST_FALL
    if target_kind != "class":
        return Comparison(None, loss, len(targets), is_fall)
    accuracy = paired_proportions(
        before_outputs.argmax(axis=1) == targets, after_outputs.argmax(axis=1) == targets
    )
    is_better = accuracy.low > 0 or (is_fall and accuracy.gain >= 0)
    return Comparison(accuracy, loss, len(targets), is_better)


def example_losses(outputs: np.ndarray, targets: np.ndarray, target_kind: str) -> np.ndarray:
    """Loss of each example, float64 (examples,), without what a pipeline adds in training.

    Cross-entropy for classes, binary cross-entropy averaged over the labels,
    squared error averaged over the numbers, which have no unit: standardised, they can be
    averaged.

    Args:
        outputs: Probabilities or standardised numbers (examples, outputs).
        targets: As `Head.standardise` gives them.
        target_kind: 'class', 'labels' or 'number'.
    """
    values = np.asarray(outputs, np.float64)
    if target_kind == "number":
        return np.mean((values - targets) ** 2, axis=1)
    if target_kind == "class":
        likely = values[np.arange(len(values)), targets]
        return -np.log(np.maximum(likely, _LEAST_PROBABILITY))
    right = np.where(np.asarray(targets) > 0.5, values, 1.0 - values)
    return np.mean(-np.log(np.maximum(right, _LEAST_PROBABILITY)), axis=1)


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
