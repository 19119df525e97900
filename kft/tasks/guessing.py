"""Guess of a source's task from its values, refused if they are ambiguous."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kft.errors import DataError
from kft.printing import listed
from kft.tasks.base import Task
from kft.tasks.classification.task import Classification
from kft.tasks.detection.task import Detection
from kft.tasks.multilabel.task import Multilabel
from kft.tasks.regression.task import Regression
from kft.tasks.vectors import Names, Targets, Vectors

# If at least this share of examples, but not all, have exactly one label, some may be mistakes.
_NEARLY_ALL = 0.95
_NAMED = 5
# Tasks of examples with one name each, with any number of names, and with boxes around objects.
OF_NAMES: Task = Classification()
OF_SETS_OF_NAMES: Task = Multilabel()
OF_BOXES: Task = Detection()


def parse_fields(fields: Names | Vectors, task: Task | None) -> Targets:
    """Parse the fields of a source by the given task, or by one that the values imply.

    Without a task, names are classes. Values are one-hot classes if there are at least two columns
    and exactly one of them is 1 in each example; labels if all are 0 or 1; numbers if in each
    column most are neither and some have a fraction. In all other cases the error names examples
    that contradict the guess and requires `data.target`.

    Args:
        fields: Fields; with a task, without examples for which its `find_value_problem` found a
            problem.
        task: Task of `data.target`; None for `auto`.

    Raises:
        DataError: The values are ambiguous, or the task refuses them.
    """
    if task is not None:
        return task.parse(fields)
    if isinstance(fields, Names):
        return OF_NAMES.parse(fields)
    guessed = _guess(fields)
    targets = guessed.parse(fields)
    if not guessed.has_classes:
        return targets
    note = (
        f"exactly one of {listed(fields.names)} is 1 in each of {len(fields.values):,} "
        f"{fields.unit}s, so they are read as {len(fields.names)} classes; for independent labels "
        "set data.target=labels."
    )
    return replace(targets, notes=(note,))


def _guess(vectors: Vectors) -> Task:
    values = vectors.values
    is_flag = np.isin(values, (0.0, 1.0))
    if not is_flag.all():
        is_fraction = values != np.rint(values)
        if (is_flag.mean(axis=0) < 0.5).all() and is_fraction.any(axis=0).all():
            return Regression()
        raise _make_flag_error(vectors, is_flag)
    if values.shape[1] == 1:
        raise DataError(
            f"{vectors.source}: one value per {vectors.unit}, and all are 0 or 1. Set "
            "data.target=labels (one label, yes or no) or data.target=number (an amount)."
        )
    is_one_hot = values.sum(axis=1) == 1.0
    if is_one_hot.all():
        return Classification()
    if is_one_hot.mean() >= _NEARLY_ALL:
        raise _make_one_hot_error(vectors, is_one_hot)
    return Multilabel()


def _make_flag_error(vectors: Vectors, is_flag: np.ndarray) -> DataError:
    """Make an error that names values other than 0 and 1."""
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
        f"Fix {'it' if len(others) == 1 else 'them'}, or set data.target=labels (each is 0 or 1: "
        f"{some} would be left out) or data.target=number (amounts: a regression).\n{lines}"
    )


def _make_one_hot_error(vectors: Vectors, is_one_hot: np.ndarray) -> DataError:
    """Make an error that names examples with no or several labels, if nearly all have one."""
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
        "one-hot classes or labels; kft does not guess. Fix the others, or set data.target=class "
        f"(one class each: {some} would be left out) or data.target=labels (any number of "
        f"labels).\n{lines}"
    )
