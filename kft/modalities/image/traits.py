"""Traits of pictures for the audit: size, shape, mode, format and colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from kft.modalities.audit_records import Fact, Measure, Property, most_common
from kft.modalities.image.inspection import Inspection

# Number of sizes to list; the rest are counted together.
_MOST_SIZES = 8
# Width over height: no screen or film exceeds 2.5.
_ASPECT_BOUNDS = (0.4, 0.7, 0.95, 1.05, 1.4, 2.5)
# Smallest differences that can be outliers: if most values are equal, their deviation is zero.
_LEAST_SIZE_DEVIATION = float(np.log(1.25))
_LEAST_GREY_DEVIATION = 8.0

Seen = Sequence[Inspection]


@dataclass(frozen=True)
class Spread:
    """The range of some numbers."""

    least: float
    median: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.least:g} to {self.greatest:g}, median {self.median:g}"


# Properties that should not reveal a class


def list_properties(seen: Seen) -> tuple[Property, ...]:
    """List the colour mode, file format, size and border colour."""
    return (
        Property.of_words("colour mode", [each.mode for each in seen]),
        Property.of_words("file format", [each.format for each in seen]),
        _size(seen),
        _border(seen),
    )


def _size(seen: Seen) -> Property:
    sizes = _find_sizes(seen)
    columns = np.column_stack([sizes, sizes[:, 0] / sizes[:, 1]])
    values = tuple(_name_size(each) for each in seen)
    return Property("size", columns, values, lambda places: most_common(values, places), True)


def _border(seen: Seen) -> Property:
    columns = np.array([each.border_rgb for each in seen], np.float64)
    return Property(
        "border colour",
        columns,
        tuple(_hex(colour) for colour in columns),
        lambda places: _hex(columns[places].mean(axis=0)),
        False,
    )


# Measures for outliers


def list_measures(seen: Seen) -> tuple[Measure, ...]:
    """List size, shape and brightness."""
    sizes = _find_sizes(seen)
    names = tuple(_name_size(each) for each in seen)
    greys = np.array([each.brightness for each in seen], np.float64)
    return (
        Measure("size", np.log(sizes.prod(axis=1)), _LEAST_SIZE_DEVIATION, names),
        Measure("shape", np.log(sizes[:, 0] / sizes[:, 1]), _LEAST_SIZE_DEVIATION, names),
        Measure(
            "brightness",
            greys,
            _LEAST_GREY_DEVIATION,
            tuple(f"mean grey value {grey:.0f}" for grey in greys),
        ),
    )


# Facts for the overview


def summarise(seen: Seen) -> tuple[Fact, ...]:
    """Summarise sizes, shapes, modes and formats; empty if there are no pictures."""
    if not seen:
        return ()
    widths, heights = _find_sizes(seen).T
    return (
        _spread("width", "Width", widths),
        _spread("height", "Height", heights),
        Fact.of_counts("sizes", "Sizes", _count_sizes(seen)),
        Fact.of_counts("aspect_ratios", "Width / height", _count_aspect_ratios(widths / heights)),
        Fact.of_counts("modes", "Modes", _count(each.mode for each in seen)),
        Fact.of_counts("formats", "Formats", _count(each.format for each in seen)),
    )


def summarise_group(seen: Seen) -> tuple[Fact, ...]:
    """Average the brightness, contrast and colour of pictures; all 0 to 255."""
    columns = [(*each.mean_rgb, each.brightness, each.contrast) for each in seen]
    *colour, brightness, contrast = np.mean(columns, axis=0).tolist() if seen else [0.0] * 5
    red, green, blue = (round(value) for value in colour)
    shown = f"#{red:02x}{green:02x}{blue:02x}"
    return (
        Fact("brightness", "brightness", round(brightness, 1), f"{brightness:.0f}"),
        Fact("contrast", "contrast", round(contrast, 1), f"{contrast:.0f}"),
        Fact("mean_rgb", "mean colour", [red, green, blue], shown, colour=shown),
    )


def _find_sizes(seen: Seen) -> np.ndarray:
    """Return widths and heights, float64 (pictures, 2)."""
    return np.array([each.shown_size for each in seen], np.float64).reshape(-1, 2)


def _name_size(each: Inspection) -> str:
    width, height = each.shown_size
    return f"{width} x {height}"


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{round(float(value)):02x}" for value in colour)


def _spread(key: str, title: str, values: np.ndarray) -> Fact:
    spread = Spread(float(values.min()), float(np.median(values)), float(values.max()))
    return Fact(key, title, asdict(spread), str(spread))


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _count_sizes(seen: Seen) -> dict[str, int]:
    counts = Counter(_name_size(each) for each in seen).most_common()
    named = dict(counts[:_MOST_SIZES])
    others = sum(number for _, number in counts[_MOST_SIZES:])
    return named | ({f"{len(counts) - _MOST_SIZES} other sizes": others} if others else {})


def _count_aspect_ratios(ratios: np.ndarray) -> dict[str, int]:
    """Count the ranges of aspect ratios that occur, from tall to wide."""
    places = np.searchsorted(_ASPECT_BOUNDS, ratios)
    low, high = _ASPECT_BOUNDS[0], _ASPECT_BOUNDS[-1]
    between = [f"{a:g} to {b:g}" for a, b in pairwise(_ASPECT_BOUNDS)]
    names = [f"below {low:g}", *between, f"above {high:g}"]
    return {
        name: int(number)
        for name, number in zip(names, np.bincount(places, minlength=len(names)), strict=True)
        if number
    }
