"""How many there are of what: classes, splits, sizes, modes, formats, colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kft.auditing.pictures import Pictures
from kft.examples import SPLIT_NAMES, Depth

# Sizes that are listed by name; the rest is counted together.
_MOST_SIZES = 8
# Width over height: beyond 2.5 no screen or film has one.
_ASPECT_BOUNDS = (0.4, 0.7, 0.95, 1.05, 1.4, 2.5)


@dataclass(frozen=True)
class Spread:
    """The range of some numbers."""

    least: float
    median: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.least:g} to {self.greatest:g}, median {self.median:g}"


@dataclass(frozen=True)
class Group:
    """The pictures of one class or label, or all of them.

    Attributes:
        name: Of the class or label; 'all' for all.
        counts: Split -> pictures; only `all` where the source names no splits.
        mean_rgb: Their mean colour, 0 to 255.
        brightness: Mean of their mean grey values, 0 to 255.
        contrast: Mean of their deviations of the grey value.
    """

    name: str
    counts: Mapping[str, int]
    mean_rgb: tuple[int, int, int]
    brightness: float
    contrast: float

    @property
    def total(self) -> int:
        """Pictures over all splits."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Overview:
    """Counts of a data set. found = used + quarantined + ignored.

    Attributes:
        task: Name of the task.
        noun: What a group is, 'class'; empty where there is none but all.
        nouns: The same of several.
        num_used: Pictures that training would use.
        num_quarantined: Files that cannot be used.
        ignored: Reason -> files left aside for it.
        groups: Each class or label, and all as the last one.
        imbalance: Pictures of the largest class over those of the smallest; None but for
            classes that all have some.
        repaired: Reason -> pictures converted for it.
        modes: Pillow's mode -> pictures.
        formats: File format -> pictures.
        width: In pixels, upright; None where there is no picture.
        height: In pixels, upright; None where there is no picture.
        sizes: Width x height -> pictures, the most frequent; the others together.
        aspect_ratios: Range of width over height -> pictures.
        noticed: What else the gate noticed -> pictures.
        depth: How pictures of more than 8 bits are shown; None where there are none.
    """

    task: str
    noun: str
    nouns: str
    num_used: int
    num_quarantined: int
    ignored: Mapping[str, int]
    groups: tuple[Group, ...]
    imbalance: float | None
    repaired: Mapping[str, int]
    modes: Mapping[str, int]
    formats: Mapping[str, int]
    width: Spread | None
    height: Spread | None
    sizes: Mapping[str, int]
    aspect_ratios: Mapping[str, int]
    noticed: Mapping[str, int]
    depth: Depth | None = None

    @property
    def num_found(self) -> int:
        """All files."""
        return self.num_used + self.num_quarantined + sum(self.ignored.values())

    def describe(self) -> dict[str, Any]:
        """JSON values."""
        return {"num_found": self.num_found, **asdict(self)}


def make_overview(
    pictures: Pictures, *, num_quarantined: int, ignored: Mapping[str, int]
) -> Overview:
    """Count.

    Args:
        pictures: What can be used.
        num_quarantined: Files that cannot be used.
        ignored: Reason -> files left aside for it.
    """
    task, shown = pictures.task, pictures.shown_sizes
    widths, heights = np.array(shown, np.float64).reshape(-1, 2).T
    groups = _make_groups(pictures)
    return Overview(
        task=task.name,
        noun=task.noun if task.is_stratified else "",
        nouns=task.nouns if task.is_stratified else "",
        num_used=len(pictures),
        num_quarantined=num_quarantined,
        ignored=_most_first(ignored),
        groups=groups,
        imbalance=_find_imbalance(pictures, groups),
        repaired=_count(reason for each in pictures.inspections for reason in each.repaired),
        modes=_count(each.mode for each in pictures.inspections),
        formats=_count(each.format for each in pictures.inspections),
        width=_spread(widths),
        height=_spread(heights),
        sizes=_count_sizes(shown),
        aspect_ratios=_count_aspect_ratios(widths / heights),
        noticed=_count(word for each in pictures.inspections for word in each.noticed),
        depth=pictures.depth,
    )


def _make_groups(pictures: Pictures) -> tuple[Group, ...]:
    """A line a class or label, then all."""
    every = np.arange(len(pictures))
    found = pictures.task.find_members(pictures.targets, len(pictures.class_names))
    columns = ("mean_rgb", "brightness", "contrast")
    seen = np.column_stack([pictures.column(name) for name in columns])
    return tuple(
        _make_group(name, _count_splits(pictures, where), seen[where])
        for name, where in [*zip(pictures.class_names, found, strict=False), ("all", every)]
    )


def _make_group(name: str, counts: Mapping[str, int], seen: np.ndarray) -> Group:
    """A group of pictures, of each of which red, green, blue, brightness and contrast are given."""
    means = seen.mean(axis=0).tolist() if len(seen) else [0.0] * 5
    red, green, blue = (round(value) for value in means[:3])
    return Group(name, counts, (red, green, blue), round(means[3], 1), round(means[4], 1))


def _count_splits(pictures: Pictures, where: np.ndarray) -> dict[str, int]:
    if pictures.splits is None:
        return {"all": len(where)}
    splits = np.array(pictures.splits)[where]
    return {name: int((splits == name).sum()) for name in SPLIT_NAMES if name in pictures.splits}


def _find_imbalance(pictures: Pictures, groups: Sequence[Group]) -> float | None:
    totals = [group.total for group in groups[:-1]]
    if not pictures.task.has_classes or not all(totals):
        return None
    return round(max(totals) / min(totals), 2)


def _spread(values: np.ndarray) -> Spread | None:
    if not len(values):
        return None
    return Spread(float(values.min()), float(np.median(values)), float(values.max()))


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(counts).most_common())


def _count_sizes(shown: Sequence[tuple[int, int]]) -> dict[str, int]:
    counts = Counter(shown).most_common()
    named = {f"{width} x {height}": number for (width, height), number in counts[:_MOST_SIZES]}
    others = sum(number for _, number in counts[_MOST_SIZES:])
    return named | ({f"{len(counts) - _MOST_SIZES} other sizes": others} if others else {})


def _count_aspect_ratios(ratios: np.ndarray) -> dict[str, int]:
    """Of all ranges between the bounds, from upright to broad, those that occur."""
    places = np.searchsorted(_ASPECT_BOUNDS, ratios)
    low, high = _ASPECT_BOUNDS[0], _ASPECT_BOUNDS[-1]
    between = [f"{a:g} to {b:g}" for a, b in pairwise(_ASPECT_BOUNDS)]
    names = [f"below {low:g}", *between, f"above {high:g}"]
    return {
        name: int(number)
        for name, number in zip(names, np.bincount(places, minlength=len(names)), strict=True)
        if number
    }
