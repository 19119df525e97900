"""Intervals of any figure, by resampling examples or whole groups of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import special

NUM_RESAMPLES = 1000
# Weights that are held at once: 32 MB of float64.
_HELD_WEIGHTS = 4_000_000

# From weights (examples, resamples), how often each example was drawn, to figures
# (figures, resamples); NaN where a resample does not determine a figure.
Statistic = Callable[[np.ndarray], np.ndarray]


def bootstrap_intervals(
    statistic: Statistic,
    num_examples: int,
    groups: np.ndarray | None = None,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """95 % confidence intervals of figures, by the bootstrap.

    Examples are drawn with replacement, or whole groups if the examples of one
    group resemble each other, such as the pictures of one patient. Percentiles
    are widened by Student's factor, so that the interval of a mean of few
    examples is not too narrow.

    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> bootstrap_intervals(lambda weights: values[None] @ weights / 4, 4).round(1).tolist()
    [[1.0, 4.0]]

    Args:
        statistic: Function from weights to figures.
        num_examples: Number of examples.
        groups: Group of each example, any values (examples,); None if each stands alone.
        num_resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Lower and upper ends (figures, 2). They are NaN where all resamples agree, as for a perfect
        score: then resampling does not tell how sure a figure is.

    Source: Hesterberg, What Teachers Should Know about the Bootstrap, arXiv:1411.5279, for the
    expanded percentiles.
    """
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1]
    num_units = num_examples if codes is None else int(codes.max()) + 1
    blocks = []
    for counts in _draw(num_units, num_examples, num_resamples, seed):
        blocks.append(statistic(counts if codes is None else counts[codes]))
    values = np.sort(np.concatenate(blocks, axis=1), axis=1)
    if num_units < 2:
        return np.full((len(values), 2), np.nan)
    spread = math.sqrt(num_units / (num_units - 1)) * special.stdtrit(num_units - 1, 0.025)
    tail = float(special.ndtr(spread))
    ends = np.stack([_find_quantile(values, share) for share in (tail, 1 - tail)], axis=1)
    ends[ends[:, 0] == ends[:, 1]] = np.nan
    return ends


def describe_ends(ends: np.ndarray, *, digits: int | None = None) -> list[float] | None:
    """Describe an interval by JSON values; None if it is unknown.

    Args:
        ends: Lower and upper end (2,).
        digits: Decimals to keep; None for all.
    """
    low, high = ends.tolist()
    if math.isnan(low) or math.isnan(high):
        return None
    return [low, high] if digits is None else [round(low, digits), round(high, digits)]


def _draw(num_units: int, num_examples: int, num_resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Draw resamples, in blocks of counts (units, resamples)."""
    generator = np.random.default_rng(seed)
    block = max(1, _HELD_WEIGHTS // max(num_units, num_examples))
    for start in range(0, num_resamples, block):
        size = min(block, num_resamples - start)
        drawn = generator.integers(0, num_units, (num_units, size), np.int32)
        places = drawn * np.int64(size) + np.arange(size)
        counts = np.bincount(places.ravel(), minlength=num_units * size)
        yield counts.reshape(num_units, size).astype(np.float64)


def _find_quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Quantile of each row of sorted values, without the NaNs at its end."""
    counts = np.sum(~np.isnan(values), axis=1)
    place = share * np.maximum(counts - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    rows = np.arange(len(values))
    low, high = values[rows, below], values[rows, above]
    # The difference of two infinite values would be NaN.
    result: np.ndarray = np.where(low == high, low, low + (place - below) * (high - low))
    return result
