"""Slices: groups of examples on which a model is worse than on the others."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from kft.statistics import wilson_intervals

# Examples of a slice; fewer say nothing.
LEAST_EXAMPLES = 10
# Parts of equally many examples into which a column of numbers is cut.
_NUM_PARTS = 4
# Values of a column beyond which it is an identifier rather than a property.
_MOST_VALUES = 50


@dataclass(frozen=True)
class Slice:
    """Examples with one value of a column, or with numbers in one range.

    Attributes:
        column: Name of the column.
        value: The value, or the range of numbers.
        examples: Positions of the examples.
        score: Mean score of the examples.
        low: Lower end of the interval of the score, corrected for the number of slices.
        high: Upper end.
        is_worse: Whether the score is lower than that of all other examples, beyond chance.
    """

    column: str
    value: str
    examples: np.ndarray
    score: float
    low: float
    high: float
    is_worse: bool


def find_slices(
    columns: Mapping[str, Sequence[str] | np.ndarray], scores: np.ndarray
) -> list[Slice]:
    """Score the slices of all columns, those with the lowest upper end first.

    With many slices, some look bad by chance. So the intervals together hold at 95 %
    (Bonferroni's correction): what `is_worse` marks is worse beyond chance.

    Args:
        columns: Name of a column -> value of each example. Floats are cut into four ranges; of
            other columns, each value with at least 10 examples is a slice.
        scores: Score of each example (examples,), the higher the better: bool for right and
            wrong, otherwise for example the negative loss.

    Source: Dunn, Multiple Comparisons among Means, JASA 56 (1961), for the correction; Newcombe,
    Interval Estimation for the Difference between Independent Proportions, Statistics in Medicine
    17 (1998), for differences from the intervals of both sides.
    """
    found = [
        (column, value, places)
        for column, values in columns.items()
        for value, places in _cut(np.asarray(values))
        if LEAST_EXAMPLES <= len(places) < len(scores)
    ]
    if not found:
        return []
    error = 0.05 / len(found)
    slices = []
    for column, value, places in found:
        is_outside = np.ones(len(scores), bool)
        is_outside[places] = False
        inside, outside = scores[places], scores[is_outside]
        score, low, high = _find_interval(inside, error)
        rest, rest_low, _ = _find_interval(outside, error)
        # Upper end of the difference, from those of both scores.
        is_worse = score - rest + math.hypot(high - score, rest - rest_low) < 0
        slices.append(Slice(column, value, places, score, low, high, is_worse))
    return sorted(slices, key=lambda each: each.high)


def _cut(values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Cut the values of a column into slices: a description, and positions."""
    if np.issubdtype(values.dtype, np.floating):
        known = values[~np.isnan(values)]
        if not len(known):
            return
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _NUM_PARTS + 1)))
        for place, (low, high) in enumerate(itertools.pairwise(edges)):
            is_last = place == len(edges) - 2
            inside = (values >= low) & ((values <= high) if is_last else (values < high))
            yield f"{low:.4g} to {high:.4g}", np.flatnonzero(inside)
        return
    names, codes = np.unique(values.astype(str), return_inverse=True)
    if len(names) <= _MOST_VALUES:
        for code, name in enumerate(names.tolist()):
            yield name, np.flatnonzero(codes == code)


def _find_interval(scores: np.ndarray, error: float) -> tuple[float, float, float]:
    """Mean score, and the ends of an interval that misses it with the given probability."""
    count, mean = len(scores), float(scores.mean())
    if scores.dtype == bool:
        low, high = wilson_intervals(scores.sum(), np.array(count), error=error).tolist()
        return mean, low, high
    spread = float(scores.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    half = float(special.stdtrit(max(count - 1, 1), 1 - error / 2)) * spread
    return mean, mean - half, mean + half
