"""The ladder of baselines, and the learning curve, as files beside an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kft.runs.atomic import write_json
from kft.runs.layout import read_json
from kft.statistics import (
    Difference,
    bootstrap_intervals,
    paired_mean,
    paired_proportions,
    wilson_interval,
)

_LADDER, _LEARNING = "ladder.json", "learning_curve.json"


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder: a baseline, or at the top the model itself.

    Attributes:
        name: What it is, such as 'layered probe'.
        value: Its leading figure on the split of the evaluation.
        interval: 95 % interval of the figure; None if unknown.
        seconds: Time that it took; None if unknown.
        size: Size of its numbers in bytes; None if unknown.
        difference: How much better the model at the top is, on the same examples; above 0 it is
            better. None for the model itself, or if unknown.
    """

    name: str
    value: float
    interval: tuple[float, float] | None = None
    seconds: float | None = None
    size: int | None = None
    difference: Difference | None = None


@dataclass(frozen=True)
class LearningPoint:
    """Error of a model that learned from some of the labels.

    Attributes:
        labels: Number of labels.
        error: Its error, such as the share of wrong answers.
        deviation: Standard deviation of the error, above 0.
    """

    labels: int
    error: float
    deviation: float


def place_rung(rung: Rung, values: np.ndarray, *, groups: np.ndarray | None = None) -> Rung:
    """Give a rung its value and interval.

    Args:
        rung: Rung with any value.
        values: Value of each example (examples,), from `Figures.lead_values`.
        groups: Group of each example; None if each stands alone.
    """
    return replace(rung, value=float(values.mean()), interval=find_mean_interval(values, groups))


def find_mean_interval(
    values: np.ndarray, groups: np.ndarray | None = None
) -> tuple[float, float] | None:
    """Find the 95 % interval of a mean: Wilson's for shares, the bootstrap's for others.

    Args:
        values: Values (examples,), bool for a share.
        groups: Group of each example; None if each stands alone.

    Returns:
        Both ends; None if all resamples agree.
    """
    if values.dtype == bool and groups is None:
        return wilson_interval(int(values.sum()), len(values))
    ends = bootstrap_intervals(_mean_of(values), len(values), groups)[0]
    return None if np.isnan(ends).any() else (float(ends[0]), float(ends[1]))


def find_deviation(values: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Find the standard deviation of a mean, above 0, from its interval.

    Args:
        values: Values (examples,), bool for a share.
        groups: Group of each example; None if each stands alone.
    """
    ends = find_mean_interval(values, groups)
    if ends is None:
        # All values are equal: as unsure as a share of none of so many.
        num_units = len(values) if groups is None else len(np.unique(groups))
        ends = wilson_interval(0, num_units)
    return max((ends[1] - ends[0]) / 3.92, 1e-9)


def compare_values(
    before: np.ndarray, after: np.ndarray, groups: np.ndarray | None = None, *, is_share: bool
) -> Difference:
    """Compare two models on the same examples; above 0, the second is better.

    Args:
        before: Values of the first (examples,), from `Figures.lead_values`.
        after: Values of the second.
        groups: Group of each example; None if each stands alone.
        is_share: Whether higher values are better; otherwise they are errors.
    """
    if groups is None and before.dtype == after.dtype == bool:
        return paired_proportions(before, after)
    gains = (1.0 if is_share else -1.0) * (after.astype(np.float64) - before)
    if groups is None:
        return paired_mean(gains)
    low, high = bootstrap_intervals(_mean_of(gains), len(gains), groups)[0].tolist()
    gain = float(gains.mean())
    # Without a single difference, resampling cannot tell how sure that is.
    return Difference(gain, *((-math.inf, math.inf) if math.isnan(low) else (low, high)))


def _mean_of(values: np.ndarray) -> Any:
    row = np.asarray(values, np.float64)[np.newaxis]
    return lambda weights: row @ weights / weights.sum(axis=0)


def write_ladder(folder: Path, rungs: Sequence[Rung], points: Sequence[LearningPoint] = ()) -> None:
    """Write ladder.json and, if there are points, learning_curve.json.

    Args:
        folder: Folder of the evaluation.
        rungs: Rungs from the simplest baseline to the model.
        points: Points of the learning curve, in any order.
    """
    write_json(folder / _LADDER, list(map(_describe, rungs)))
    if points:
        write_json(folder / _LEARNING, [asdict(point) for point in points])


def read_ladder(folder: Path) -> tuple[tuple[Rung, ...], tuple[LearningPoint, ...]]:
    """Read what `write_ladder` wrote; empty if it was not called.

    Args:
        folder: Folder of the evaluation.

    Raises:
        RunError: A file is damaged.
    """
    files = [folder / name for name in (_LADDER, _LEARNING)]
    rungs, points = (read_json(file) if file.is_file() else [] for file in files)
    return tuple(map(_restore, rungs)), tuple(LearningPoint(**each) for each in points)


def _describe(rung: Rung) -> dict[str, Any]:
    difference = None if rung.difference is None else rung.difference.describe()
    return {**asdict(rung), "difference": difference}


def _restore(values: Mapping[str, Any]) -> Rung:
    ends, difference = values["interval"], values["difference"]
    return Rung(
        values["name"],
        values["value"],
        ends and (ends[0], ends[1]),
        values["seconds"],
        values["size"],
        difference and Difference.restore(difference),
    )
