"""Outputs -> the files of an evaluation: every answer, every probability, every confusion."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kft.heads.base import Head
from kft.runs.atomic import write_bytes, write_text

# Classes up to which predictions.csv has a column for the probability of each.
MOST_COLUMNS = 100
# The most probable classes, of which it tells where there are more.
NUM_CHOICES = 5


def write_predictions(
    folder: Path, *, head: Head, files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> None:
    """predictions.csv: one row an example, with columns that no name can make collide.

    Of classes `file`, `true`, `predicted`, and `probability X` for each class X. Of more than
    `MOST_COLUMNS` classes the row has the five most probable ones, and probabilities.npz has all
    probabilities. Of labels and numbers `file`, and `true X` and `predicted X` for each.

    Args:
        folder: Where the files go.
        head: What the outputs mean.
        files: Name of each example.
        targets: As `Examples.targets`.
        outputs: Probabilities, or numbers in the unit of the targets.
    """
    names = head.class_names
    if head.target_kind != "class":
        rows = _rows_of_several(names, files, targets, outputs)
    elif len(names) <= MOST_COLUMNS:
        rows = _rows_of_classes(names, files, targets, outputs)
    else:
        rows = _rows_of_many_classes(names, files, targets, outputs)
        _write_probabilities(folder / "probabilities.npz", names, files, outputs)
    _write_table(folder / "predictions.csv", rows)


def write_confusion(
    path: Path, *, names: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> None:
    """confusion.csv: how often each true class was answered as each other; zeros are left out.

    Args:
        path: Of the file.
        names: Name of each class.
        targets: Class indices (examples,).
        outputs: Probabilities (examples, classes).
    """
    pairs = np.stack([targets, outputs.argmax(axis=1)], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    rows = [
        [names[true], names[predicted], str(count)]
        for (true, predicted), count in zip(found.tolist(), counts.tolist(), strict=True)
    ]
    _write_table(path, [["true", "predicted", "examples"], *rows])


def _rows_of_classes(
    names: Sequence[str], files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterable[list[str]]:
    yield ["file", "true", "predicted", *(f"probability {name}" for name in names)]
    for file, target, row in zip(files, targets, outputs, strict=True):
        yield [file, names[target], names[row.argmax()], *map(_write_number, row)]


def _rows_of_many_classes(
    names: Sequence[str], files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterable[list[str]]:
    choices = range(1, NUM_CHOICES + 1)
    columns = [f"{what} {place}" for place in choices for what in ("choice", "probability")]
    yield ["file", "true", "predicted", "probability of true", *columns]
    for file, target, row in zip(files, targets, outputs, strict=True):
        best = np.argsort(-row, kind="stable")[:NUM_CHOICES]
        told = [text for i in best for text in (names[i], _write_number(row[i]))]
        yield [file, names[target], names[best[0]], _write_number(row[target]), *told]


def _rows_of_several(
    names: Sequence[str], files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterable[list[str]]:
    yield ["file", *(f"{what} {name}" for what in ("true", "predicted") for name in names)]
    for file, target, row in zip(files, targets, outputs, strict=True):
        yield [file, *map(_write_number, target), *map(_write_number, row)]


def _write_number(value: np.floating) -> str:
    """Text that reads back to the same number of this type."""
    return format(value.item(), ".9g") if value.dtype == np.float32 else repr(float(value))


def _write_table(path: Path, rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        # Python's writer does not quote a carriage return, at which its reader ends the row.
        (quoted if any("\r" in cell for cell in row) else writer).writerow(row)
    write_text(path, text.getvalue())


def _write_probabilities(
    path: Path, names: Sequence[str], files: Sequence[str], outputs: np.ndarray
) -> None:
    content = io.BytesIO()
    np.savez_compressed(
        content,
        allow_pickle=False,
        files=np.array(files),
        class_names=np.array(names),
        probabilities=outputs,
    )
    write_bytes(path, content.getvalue())
