"""Predictions of an evaluation, read back from the files that it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from kft.errors import RunError
from kft.tasks import Task
from kft.tasks.figures import ANSWERS


@dataclass(frozen=True)
class Predictions:
    """Answers to the examples of a split.

    Attributes:
        files: Name of each example.
        targets: Targets as in `Examples.targets`.
        outputs: Outputs in the unit of the targets (examples, outputs).
    """

    files: tuple[str, ...]
    targets: np.ndarray
    outputs: np.ndarray


def read_predictions(folder: Path, task: Task, names: Sequence[str]) -> Predictions:
    """Read the predictions of an evaluation.

    Args:
        folder: Folder of the evaluation, with `predictions.csv` and, for many classes,
            `probabilities.npz`, or, for boxes, `answers.npz`.
        task: Task of the answers.
        names: Name of each output.

    Raises:
        RunError: A file is missing or damaged, or belongs to other names.
    """
    path = folder / "predictions.csv"
    try:
        if (folder / ANSWERS).is_file():
            with np.load(folder / ANSWERS, allow_pickle=False) as arrays:
                return Predictions(
                    tuple(arrays["files"].tolist()), arrays["targets"], arrays["outputs"]
                )
        table = read_table(path, names=("file", "true", "predicted"))
        files = tuple(table["file"].to_pylist())
        if not task.has_classes:
            true, predicted = (_read_columns(table, kind, names) for kind in ("true", "predicted"))
            return Predictions(files, true, predicted)
        places = {name: place for place, name in enumerate(names)}
        targets = np.array([places[name] for name in table["true"].to_pylist()], np.int64)
        if (folder / "probabilities.npz").is_file():
            with np.load(folder / "probabilities.npz", allow_pickle=False) as arrays:
                return Predictions(files, targets, arrays["probabilities"])
        return Predictions(files, targets, _read_columns(table, "probability", names))
    except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
        raise RunError(
            f"{path}: cannot be read: {error}. `kft evaluate RUN --data PATH` judges a run anew."
        ) from error


def read_table(path: Path, names: Sequence[str] = ()) -> pa.Table:
    """Read a CSV file of a run.

    Args:
        path: Path of the file.
        names: Columns to read as text, even if values look like numbers.
    """
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _read_columns(table: pa.Table, kind: str, names: Sequence[str]) -> np.ndarray:
    return np.stack([table[f"{kind} {name}"].to_numpy() for name in names], axis=1)
