"""The axes of an explanation: where in an example it says what an answer depends on."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

OVERLAY_ENDING = ".png"
"""Ending of the files that `Modality.draw_explanation` draws."""

# Parts along an axis that are hidden one by one: 64 of a picture show an object, and cost 64
# forward passes.
PARTS_PER_AXIS = 8


@dataclass(frozen=True)
class ExplainedAxes:
    """The tensor of a model that is explained, and its axes.

    Attributes:
        layer: Name of an element, or of a layer that `InputSpec.prepare` adds. An element of whole
            numbers, such as token ids, stands for the vectors that the backbone looks up for it.
        names: Name of each axis, without the batch. An axis of channels after them has no name:
            its values are added up.
        parts: Number of parts along each axis that are hidden one by one.
        is_continuous: Whether neighbours along the axes belong together, so that a coarse feature
            map of the backbone can be laid over them.
    """

    layer: str
    names: tuple[str, ...]
    parts: tuple[int, ...]
    is_continuous: bool = True


@dataclass(frozen=True)
class ExplainedExample:
    """One example, as its explanation is drawn.

    Attributes:
        inputs: The decoded elements by name, without the batch.
        shown: Values of the explained tensor: float32 (axes …) or (axes …, channels).
        parts: Number of the part of each position (axes …); -1 for positions that are never
            hidden, such as padding.
    """

    inputs: Mapping[str, np.ndarray]
    shown: np.ndarray
    parts: np.ndarray


def divide_into_grid(shape: Sequence[int], counts: Sequence[int]) -> np.ndarray:
    """Number the cells of a grid over an array: int64 of `shape`.

    >>> divide_into_grid((4,), (2,)).tolist()
    [0, 0, 1, 1]

    Args:
        shape: Shape of the array.
        counts: Number of cells along each axis; an axis that is shorter has one per position.
    """
    cells = np.zeros((), np.int64)
    for length, count in zip(shape, counts, strict=True):
        kept = min(length, count)
        along = np.arange(length) * kept // length
        cells = cells[..., np.newaxis] * kept + along
    return cells


def sum_by_part(values: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Sum values over each part: float64 (parts,).

    Args:
        values: Value of each position.
        parts: Part of each position, of the same shape; -1 for none.
    """
    is_part = parts >= 0
    count = int(parts.max(initial=-1)) + 1
    return np.bincount(parts[is_part], weights=values[is_part], minlength=count)


def describe_place(names: Sequence[str], values: np.ndarray, parts: np.ndarray) -> str:
    """Describe the part with the highest value, in percent of each axis.

    >>> describe_place(("time",), np.array([0.0, 0.0, 1.0, 3.0]), np.array([0, 0, 1, 1]))
    'most at time 50 to 100 %'

    Args:
        names: Name of each axis.
        values: Value of each position.
        parts: Part of each position.
    """
    places = np.nonzero(parts == int(sum_by_part(values, parts).argmax()))
    spans = [
        f"{name} {100 * at.min() / length:.0f} to {100 * (at.max() + 1) / length:.0f} %"
        for name, at, length in zip(names, places, parts.shape, strict=True)
    ]
    return f"most at {', '.join(spans)}"


def make_overlay_uri(content: bytes) -> str:
    """Make a data URI of a file that `Modality.draw_explanation` drew, for a page."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
