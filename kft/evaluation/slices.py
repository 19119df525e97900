"""Slices: groups of examples on which a model is worse than on the others."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy import special

from kft.runs.atomic import write_json
from kft.runs.layout import read_json
from kft.statistics import wilson_intervals

_FILE = "slices.json"

# Examples of a slice; fewer say nothing.
LEAST_EXAMPLES = 10
# Parts of equally many examples into which a column of numbers is cut.
_NUM_PARTS = 4
# Values of a column beyond which it is an identifier rather than a property.
_MOST_VALUES = 50


@dataclass(frozen=True)
class Column:
    """A property of examples.

    Attributes:
        values: Value of each example: texts, or floats with NaN where there is none.
        texts: Each value in words, if these are not the number itself.
    """

    values: Sequence[str] | np.ndarray
    texts: Sequence[str] | None = None


@dataclass(frozen=True)
class Slice:
    """Examples with one value of a column, or with numbers in one range.

    Attributes:
        column: Name of the column.
        value: The value, or the range of numbers.
        examples: Number of examples.
        score: Mean score of the examples.
        low: Lower end of the interval of the score, corrected for the number of slices.
        high: Upper end.
        is_worse: Whether the score is lower than that of all other examples, beyond chance.
    """

    column: str
    value: str
    examples: int
    score: float
    low: float
    high: float
    is_worse: bool


def find_slices(columns: Mapping[str, Column], scores: np.ndarray) -> list[Slice]:
    """Score the slices of all columns, those with the lowest upper end first.

    With many slices, some look bad by chance. So the intervals together hold at 95 %
    (Bonferroni's correction): what `is_worse` marks is worse beyond chance.

    Args:
        columns: Columns by name. Floats are cut into four ranges; of other columns, each value
            with at least 10 examples is a slice.
        scores: Score of each example (examples,), the higher the better: bool for right and
            wrong, otherwise for example the negative loss.

    Source: Dunn, Multiple Comparisons among Means, JASA 56 (1961), for the correction; Newcombe,
    Interval Estimation for the Difference between Independent Proportions, Statistics in Medicine
    17 (1998), for differences from the intervals of both sides.
    """
    found = [
        (column, value, places)
        for column, each in columns.items()
        for value, places in _cut(each)
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
        slices.append(Slice(column, value, len(places), score, low, high, is_worse))
    return sorted(slices, key=lambda each: each.high)


def write_slices(
    folder: Path, columns: Mapping[str, Column], values: np.ndarray, *, is_share: bool
) -> None:
    """Find the slices of an evaluation, and write slices.json.

    Args:
        folder: Folder of the evaluation.
        columns: Columns by name.
        values: Value of each example (examples,), from `Figures.lead_values`.
        is_share: Whether higher values are better; otherwise they are errors.
    """
    slices = find_slices(columns, values if is_share else -values)
    if not is_share:
        slices = [
            replace(each, score=-each.score, low=-each.high, high=-each.low) for each in slices
        ]
    write_json(folder / _FILE, list(map(asdict, slices)))


def read_slices(folder: Path) -> list[Slice]:
    """Read what `write_slices` wrote; empty if it was not called.

    Args:
        folder: Folder of the evaluation.

    Raises:
        RunError: The file is damaged.
    """
    file = folder / _FILE
    return [Slice(**each) for each in read_json(file)] if file.is_file() else []


def _cut(column: Column) -> Iterator[tuple[str, np.ndarray]]:
    """Cut the values of a column into slices: a description, and positions."""
    values = np.asarray(column.values)
    if np.issubdtype(values.dtype, np.floating):
        known = values[~np.isnan(values)]
        if not len(known):
            return
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _NUM_PARTS + 1)))
        for place, (low, high) in enumerate(itertools.pairwise(edges)):
            is_last = place == len(edges) - 2
            inside = (values >= low) & ((values <= high) if is_last else (values < high))
            places = np.flatnonzero(inside)
            if column.texts is None:
                yield f"{low:.4g} to {high:.4g}", places
            elif len(places):
                first, last = (
                    column.texts[places[end]]
                    for end in (values[places].argmin(), values[places].argmax())
                )
                yield _name_range(first, last), places
        return
    names, codes = np.unique(values.astype(str), return_inverse=True)
    if len(names) <= _MOST_VALUES:
        for code, name in enumerate(names.tolist()):
            yield name or "blank", np.flatnonzero(codes == code)


def _name_range(first: str, last: str) -> str:
    """Name a range by its ends, without repeating the words that both begin with.

    >>> _name_range("mean grey value 3", "mean grey value 40")
    'mean grey value 3 to 40'
    """
    if first == last:
        return first
    one, other = first.split(" "), last.split(" ")
    shared = 0
    # Numbers at the front, as in "10 px", are what differs.
    while shared < min(len(one), len(other)) - 1 and one[shared] == other[shared]:
        if not one[shared].isalpha():
            break
        shared += 1
    return f"{first} to {' '.join(other[shared:])}"


def _find_interval(scores: np.ndarray, error: float) -> tuple[float, float, float]:
    """Mean score, and the ends of an interval that misses it with the given probability."""
    count, mean = len(scores), float(scores.mean())
    if scores.dtype == bool:
        low, high = wilson_intervals(scores.sum(), np.array(count), error=error).tolist()
        return mean, low, high
    spread = float(scores.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    half = float(special.stdtrit(max(count - 1, 1), 1 - error / 2)) * spread
    return mean, mean - half, mean + half
