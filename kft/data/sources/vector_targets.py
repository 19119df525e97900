"""Several values per example -> one-hot classes, labels or numbers; asked where they disagree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kft.errors import DataError
from kft.examples import TargetKind
from kft.printing import listed

# Where so many examples have exactly one label but not all, one of the two is a mistake.
_NEARLY_ALL = 0.95
_NAMED = 5
# Squares of larger numbers, of which deviations are made, are beyond float64.
_LARGEST_NUMBER = 1e150


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
    """What the labels of a source are.

    Attributes:
        kind: What a target is.
        names: Name of each class, label or number.
        values: As `Examples.targets`.
        notes: Sentences on what was understood otherwise than it is written.
    """

    kind: TargetKind
    names: tuple[str, ...]
    values: np.ndarray
    notes: tuple[str, ...] = ()


def find_value_problem(values: Sequence[float], names: Sequence[str], target: str) -> str | None:
    """Why the values of one example are none of the stated target; None where they are.

    Args:
        values: Of one example.
        names: Of each value.
        target: `data.target`; `auto` and `number` allow all.
    """
    if target in ("auto", "number"):
        return None
    other = [i for i, value in enumerate(values) if value not in (0.0, 1.0)]
    if other:
        return (
            f"{values[other[0]]:.9g} in label {names[other[0]]!r}; a label is 0 or 1. For amounts "
            "set data.target=number"
        )
    on = [name for name, value in zip(names, values, strict=True) if value]
    if target == "class" and len(on) != 1:
        which = f" ({listed(on)})" if on else ""
        return (
            f"{len(on)} of the one-hot columns are 1{which}, but a class is one of them. For any "
            "number of labels set data.target=labels"
        )
    return None


def understand_vectors(vectors: Vectors, target: str) -> Targets:
    """What several values per example are: as `target` says, or where they leave no doubt.

    With `auto`, values are the classes of one-hot columns where there are at least two and
    exactly one is 1 in each example; labels where all are 0 or 1; numbers where in each column
    most are neither and some have a fraction. In all other cases the examples that speak against
    it are named, and `data.target` is asked for.

    Args:
        vectors: The values. With `labels` and `class` those of `find_value_problem` are left out.
        target: `data.target`.

    Raises:
        DataError: It is not clear what the values are, a label or class occurs nowhere, or a
            number is so large that no deviation can be computed.
    """
    kind = _choose_kind(vectors) if target == "auto" else target
    if kind == "number":
        _refuse_out_of_range(vectors)
        # Not a view of the other columns, which would stay in memory with it.
        return Targets("number", vectors.names, vectors.values.astype(np.float64))
    if kind == "labels":
        return Targets("labels", vectors.names, vectors.values.astype(np.float32))
    return _read_one_hot(vectors, is_said=target == "class")


def _choose_kind(vectors: Vectors) -> TargetKind:
    values = vectors.values
    is_flag = np.isin(values, (0.0, 1.0))
    if not is_flag.all():
        is_fraction = values != np.rint(values)
        if (is_flag.mean(axis=0) < 0.5).all() and is_fraction.any(axis=0).all():
            return "number"
        raise _make_flag_error(vectors, is_flag)
    if values.shape[1] == 1:
        raise DataError(
            f"{vectors.source}: one value per {vectors.unit}, and all are 0 or 1. Say "
            "data.target=labels (one label, yes or no) or data.target=number (an amount)."
        )
    is_one_hot = values.sum(axis=1) == 1.0
    if is_one_hot.all():
        return "class"
    if is_one_hot.mean() >= _NEARLY_ALL:
        raise _make_one_hot_error(vectors, is_one_hot)
    return "labels"


def _make_flag_error(vectors: Vectors, is_flag: np.ndarray) -> DataError:
    """An error that names the values other than 0 and 1."""
    others = np.argwhere(~is_flag)
    named = [
        f"  - {vectors.place_of(row)}: {vectors.values[row, column]:.9g} in "
        f"{vectors.names[column]!r}"
        for row, column in others[:_NAMED].tolist()
    ]
    if len(others) > _NAMED:
        named.append(f"  and {len(others) - _NAMED:,} more")
    many = len(np.unique(others[:, 0]))
    some = f"{many:,} {vectors.unit}" + "s" * (many != 1)
    lines = "\n".join(named)
    return DataError(
        f"{vectors.source}: of {is_flag.size:,} values in {listed(vectors.names)}, "
        f"{int(is_flag.sum()):,} are 0 or 1 and {len(others):,} {'is' * (len(others) == 1)}"
        f"{'are' * (len(others) != 1)} not, so they may be labels or numbers; kft does not guess. "
        f"Mend {'it' if len(others) == 1 else 'them'}, or say data.target=labels (each is 0 or 1: "
        f"{some} would be left out) or data.target=number (amounts: a regression).\n{lines}"
    )


def _make_one_hot_error(vectors: Vectors, is_one_hot: np.ndarray) -> DataError:
    """An error that names the examples that have no label or several, where nearly all have one."""
    others = np.flatnonzero(~is_one_hot).tolist()
    named = [
        f"  - {vectors.place_of(row)}: {int(vectors.values[row].sum())} of {len(vectors.names)}"
        for row in others[:_NAMED]
    ]
    if len(others) > _NAMED:
        named.append(f"  and {len(others) - _NAMED:,} more")
    some = f"{len(others):,} {vectors.unit}" + "s" * (len(others) != 1)
    lines = "\n".join(named)
    return DataError(
        f"{vectors.source}: exactly one of {listed(vectors.names)} is 1 in "
        f"{int(is_one_hot.sum()):,} of {len(is_one_hot):,} {vectors.unit}s, so they may be "
        "one-hot classes or labels; kft does not guess. Mend the others, or say data.target=class "
        f"(one class each: {some} would be left out) or data.target=labels (any number of "
        f"labels).\n{lines}"
    )


def _read_one_hot(vectors: Vectors, *, is_said: bool) -> Targets:
    names = vectors.names
    note = (
        f"exactly one of {listed(vectors.names)} is 1 in each of {len(vectors.values):,} "
        f"{vectors.unit}s, so they are read as {len(names)} classes; for independent labels set "
        "data.target=labels."
    )
    classes = vectors.values.argmax(axis=1)
    return Targets("class", names, classes, () if is_said else (note,))


def _refuse_out_of_range(vectors: Vectors) -> None:
    too_large = np.argwhere(np.abs(vectors.values) > _LARGEST_NUMBER)
    if len(too_large):
        row, column = too_large[0].tolist()
        raise DataError(
            f"{vectors.source}: {vectors.place_of(row)} holds {vectors.values[row, column]:g} in "
            f"{vectors.names[column]!r}; allowed are numbers up to {_LARGEST_NUMBER:g}. Scale the "
            "column."
        )
