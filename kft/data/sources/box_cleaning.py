"""Boxes of one example as fractions of its size, without those that cannot be learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kft.modalities.annotated import FRACTIONS, Annotated, Box

ZERO_AREA, CUT, REPEATED = "zero_area", "cut", "repeated"
# What a side may exceed the size by without a remark: whole numbers count from 0 or from 1, and
# fractions are written with a few decimals.
_ROUNDING, _FRACTION_ROUNDING = 1.0, 1e-3


@dataclass(frozen=True)
class CleanBoxes:
    """Usable boxes of an example.

    Attributes:
        names: Class of each box.
        sides: Left, top, right and bottom as fractions, float64 (boxes, 4).
        remarks: Kind of remark, and the boxes that it is about.
    """

    names: tuple[str, ...]
    sides: np.ndarray
    remarks: tuple[tuple[str, str], ...]


class BoxError(Exception):
    """Reason why the boxes of an example cannot be used."""


def clean_boxes(annotated: Annotated, size: tuple[float, float] | None) -> CleanBoxes:
    """Convert boxes to fractions, and leave out those without area and exact repetitions.

    A box that reaches beyond the example is cut at its edge.

    Args:
        annotated: Example with its boxes.
        size: Width and height of the upright example; None if its file cannot be read.

    Raises:
        BoxError: The stated size is another, no size is known, or a box lies outside, ends before
            it begins or is not a number.
    """
    width, height = _find_size(annotated, size)
    scale = np.array([width, height, width, height])
    rounding = _FRACTION_ROUNDING if (width, height) == FRACTIONS else _ROUNDING
    names: list[str] = []
    kept: list[np.ndarray] = []
    seen: set[tuple[str, tuple[float, ...]]] = set()
    remarks: list[tuple[str, str]] = []
    for number, box in enumerate(annotated.boxes, 1):
        word = f"box {number} ({box.name})"
        sides = np.clip(_check(box, word, width, height), 0, scale)
        if np.any(np.abs(sides - box.sides) > rounding):
            remarks.append((CUT, word))
        if np.any(sides[2:] <= sides[:2]):
            remarks.append((ZERO_AREA, word))
        elif (box.name, tuple(sides)) in seen:
            remarks.append((REPEATED, word))
        else:
            seen.add((box.name, tuple(sides)))
            names.append(box.name)
            kept.append(sides / scale)
    return CleanBoxes(tuple(names), np.array(kept).reshape(-1, 4), tuple(remarks))


def _find_size(annotated: Annotated, size: tuple[float, float] | None) -> tuple[float, float]:
    stated = annotated.size
    if stated == FRACTIONS:
        return FRACTIONS
    if size is None and stated is None:
        raise BoxError("its size is neither stated nor can be read")
    if size is None or stated is None:
        return size or stated or (0.0, 0.0)
    if tuple(stated) != tuple(size):
        given, found = (f"{each[0]:g} x {each[1]:g}" for each in (stated, size))
        is_turned = tuple(stated) == tuple(size)[::-1]
        how = (
            "the file is shown turned by its orientation entry, but was annotated as it is stored. "
            "Turn its content, or annotate it upright"
            if is_turned
            else "so the boxes belong to another version of the file"
        )
        raise BoxError(f"its annotations state a size of {given}, but it is {found}: {how}")
    return size


def _check(box: Box, word: str, width: float, height: float) -> np.ndarray:
    sides = np.array(box.sides)
    text = _list_sides(box.sides)
    if not np.isfinite(sides).all():
        raise BoxError(f"{word} has sides {text}; expected four numbers")
    if np.any(sides[2:] < sides[:2]):
        raise BoxError(
            f"{word} ends before it begins: {text}; expected left, top, right and bottom"
        )
    # A box of zero area on the edge is not outside.
    if np.any(sides[:2] > (width, height)) or np.any(sides[2:] < 0):
        raise BoxError(f"{word} lies outside: {text}, but the size is {width:g} x {height:g}")
    return sides


def _list_sides(sides: Sequence[float]) -> str:
    return ", ".join(f"{side:g}" for side in sides)
