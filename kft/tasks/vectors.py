"""Fields of a source -> targets: names, or several values of each example."""

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
        names: The different ones, in order.
        codes: int64 (examples,): the place of each example's name among them.
    """

    names: tuple[str, ...]
    codes: np.ndarray


@dataclass(frozen=True)
class Vectors:
    """The values of all usable examples, before it is known what they mean.

    Attributes:
        values: float64 (examples, values).
        names: Of each value: a column.
        source: What was read, for messages.
        unit: What an example is called there: 'line', 'row', 'record'.
        place_of: Where the example of a position stands, for messages.
    """

    values: np.ndarray
    names: tuple[str, ...]
    source: str
    unit: str
    place_of: Callable[[int], str]


@dataclass(frozen=True)
class Targets:
    """What a task makes of the fields of a source.

    Attributes:
        task: Whose targets they are.
        names: Name of each class, label or number.
        values: As `Examples.targets`.
        notes: Sentences on what was understood otherwise than it is written.
    """

    task: Task
    names: tuple[str, ...]
    values: np.ndarray
    notes: tuple[str, ...] = ()


def find_flag_problem(values: Sequence[float], names: Sequence[str]) -> str | None:
    """Why the values of one example are not all 0 or 1; None where they are."""
    other = [i for i, value in enumerate(values) if value not in (0.0, 1.0)]
    if not other:
        return None
    return (
        f"{values[other[0]]:.9g} in label {names[other[0]]!r}; a label is 0 or 1. For amounts "
        "set data.target=number"
    )


def find_one_hot_problem(values: Sequence[float], names: Sequence[str]) -> str | None:
    """Why values of 0 and 1 do not name one class; None where exactly one is 1."""
    on = [name for name, value in zip(names, values, strict=True) if value]
    if len(on) == 1:
        return None
    which = f" ({listed(on)})" if on else ""
    return (
        f"{len(on)} of the one-hot columns are 1{which}, but a class is one of them. For any "
        "number of labels set data.target=labels"
    )


def move_columns(targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
    """Targets (examples, names) with each column at its new place; 0 where none is."""
    moved = np.zeros((len(targets), num_names), targets.dtype)
    moved[:, places] = targets
    return moved
