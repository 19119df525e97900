"""Fields of a source and the targets parsed from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kft.printing import listed
from kft.tasks.base import Task


@dataclass(frozen=True)
class Names:
    """One name for each usable example, such as that of its class folder.

    Attributes:
        names: Distinct names, in order.
        codes: Index of each example's name, int64 (examples,).
    """

    names: tuple[str, ...]
    codes: np.ndarray


@dataclass(frozen=True)
class Vectors:
    """Values of all usable examples, before their meaning is known.

    Attributes:
        values: Values, float64 (examples, values).
        names: Column name of each value.
        source: Source that was read, for messages.
        unit: Word for an example in the source: 'line', 'row' or 'record'.
        place_of: Function from the index of an example to its place in the source, for messages.
    """

    values: np.ndarray
    names: tuple[str, ...]
    source: str
    unit: str
    place_of: Callable[[int], str]


@dataclass(frozen=True)
class Boxes:
    """Boxes around the objects in all usable examples.

    Attributes:
        names: Name of each class.
        owners: Index of the example of each box, int64 (boxes,), ascending.
        codes: Index of the class of each box, int64 (boxes,).
        sides: Left, top, right and bottom as fractions of the upright example's width and height,
            float32 (boxes, 4).
        num_examples: Number of examples; some may have no boxes.
    """

    names: tuple[str, ...]
    owners: np.ndarray
    codes: np.ndarray
    sides: np.ndarray
    num_examples: int


@dataclass(frozen=True)
class Targets:
    """Targets that a task parsed from the fields of a source.

    Attributes:
        task: Task of the targets.
        names: Name of each class, label or number.
        values: Targets as in `Examples.targets`.
        notes: Sentences about interpretations that are not obvious.
    """

    task: Task
    names: tuple[str, ...]
    values: np.ndarray
    notes: tuple[str, ...] = ()


def find_flag_problem(values: Sequence[float], names: Sequence[str]) -> str | None:
    """Find the reason why values of one example are not labels; None if all are 0 or 1."""
    other = [i for i, value in enumerate(values) if value not in (0.0, 1.0)]
    if not other:
        return None
    return (
        f"{values[other[0]]:.9g} in label {names[other[0]]!r}; a label is 0 or 1. For amounts "
        "set data.target=number"
    )


def find_one_hot_problem(values: Sequence[float], names: Sequence[str]) -> str | None:
    """Find the reason why values of 0 and 1 are not a class; None if exactly one is 1."""
    on = [name for name, value in zip(names, values, strict=True) if value]
    if len(on) == 1:
        return None
    which = f" ({listed(on)})" if on else ""
    return (
        f"{len(on)} of the one-hot columns are 1{which}, but an example has exactly one class. For "
        "any number of labels set data.target=labels"
    )


def move_columns(targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
    """Move each column of targets (examples, names) to its new place; other columns are 0."""
    moved = np.zeros((len(targets), num_names), targets.dtype)
    moved[:, places] = targets
    return moved
