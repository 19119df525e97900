"""Calibration: how far stated probabilities come true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kft.statistics import wilson_intervals

# Bins hold equally many examples: with bins of equal width, a confident model would have most of
# its examples in the last one, and the others would be noise.
MAX_BINS = 15
# Examples per bin; with fewer, chance alone would look like an error.
_LEAST_IN_BIN = 20
# Resamples of perfectly calibrated outcomes.
_NUM_SIMULATED = 400


@dataclass(frozen=True)
class Reliability:
    """Stated probabilities of events, in bins, beside the share that came true.

    Attributes:
        stated: Mean stated probability of each bin (bins,).
        observed: Share of events that came true (bins,).
        intervals: 95 % interval of that share (bins, 2).
        examples: Number of events (bins,).
        error: Expected calibration error: mean distance of stated from observed, weighted by the
            events.
        error_by_chance: Error below which 95 % of perfectly calibrated models with these stated
            probabilities lie.
    """

    stated: np.ndarray
    observed: np.ndarray
    intervals: np.ndarray
    examples: np.ndarray
    error: float
    error_by_chance: float

    @property
    def is_off(self) -> bool:
        """Whether the error is larger than chance explains."""
        return self.error > self.error_by_chance

    def describe(self) -> dict[str, Any]:
        """Describe the reliability by JSON values."""
        columns = (self.stated, self.observed, *self.intervals.T, self.examples)
        names = ("stated", "observed", "low", "high", "examples")
        return {
            "expected_calibration_error": self.error,
            "expected_calibration_error_by_chance": self.error_by_chance,
            "bins": [
                dict(zip(names, row, strict=True))
                for row in zip(*(column.tolist() for column in columns), strict=True)
            ],
        }


def measure_reliability(
    stated: np.ndarray, came_true: np.ndarray, *, num_bins: int = MAX_BINS, seed: int = 0
) -> Reliability:
    """Compare stated probabilities with outcomes.

    For classes, an event is that the chosen class is right; for labels, that an example has a
    label. Equal probabilities are in one bin.

    >>> reliability = measure_reliability(np.full(100, 0.9), np.arange(100) < 60)
    >>> round(reliability.error, 3), reliability.is_off
    (0.3, True)

    Args:
        stated: Probability of each event (events,), at least one.
        came_true: Whether it came true, bool (events,).
        num_bins: Largest number of bins; there are fewer if each would hold under 20 events.
        seed: Seed of the simulated outcomes.

    Source: Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599; Nixon et al.,
    Measuring Calibration in Deep Learning, arXiv:1904.01685, for bins of equal mass.
    """
    stated = np.asarray(stated, np.float64)
    num_bins = min(num_bins, max(1, len(stated) // _LEAST_IN_BIN))
    edges = np.unique(np.quantile(stated, np.linspace(0, 1, num_bins + 1)[1:-1]))
    bins = np.searchsorted(edges, stated, side="left")
    found, bins = np.unique(bins, return_inverse=True)
    examples = np.bincount(bins, minlength=len(found))
    sums = np.bincount(bins, weights=stated)
    hits = np.bincount(bins, weights=came_true)
    generator = np.random.default_rng(seed)
    # How many of the events of a bin come true if all probabilities are right: nearly normal, and
    # exact in mean and variance.
    spread = np.sqrt(np.bincount(bins, weights=stated * (1 - stated)))
    simulated = np.abs(spread * generator.standard_normal((_NUM_SIMULATED, len(found))))
    return Reliability(
        sums / examples,
        hits / examples,
        wilson_intervals(hits, examples),
        examples,
        float(np.abs(sums - hits).sum() / len(stated)),
        float(np.quantile(simulated.sum(axis=1) / len(stated), 0.95)),
    )


def brier_scores(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Brier score of each example (examples,), whose mean is that of the model.

    For classes it is the sum of squared differences over all classes, between 0 and 2; for labels
    the mean over the labels, between 0 and 1.

    Args:
        probabilities: Probabilities (examples, names).
        targets: Index of each example's class (examples,), or labels of 0 and 1 (examples, names).

    Source: Brier, Verification of Forecasts Expressed in Terms of Probability, 1950.
    """
    if targets.ndim == 1:
        true = np.asarray(probabilities[np.arange(len(targets)), targets], np.float64)
        squares = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
        scores: np.ndarray = squares - 2 * true + 1
        return scores
    return np.square(np.asarray(probabilities, np.float64) - targets).mean(axis=1)
