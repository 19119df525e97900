"""Evaluation of a model on a split, with its files in the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.evaluation.judgement import judge
from kft.evaluation.prediction import Predictor
from kft.evaluation.prediction_files import write_tables
from kft.runs.atomic import write_json
from kft.tasks.head import Head


@dataclass(frozen=True)
class Evaluation:
    """Figures and outputs of a model on one split.

    Attributes:
        figures: Figures from `judge`.
        outputs: Probabilities, or numbers in the unit of the targets (examples, outputs), in
            order.
    """

    figures: dict[str, Any]
    outputs: np.ndarray


def evaluate(
    predictor: Predictor,
    head: Head,
    batches: tf.data.Dataset,
    *,
    files: Sequence[str],
    targets: np.ndarray,
    train_targets: np.ndarray,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Evaluation:
    """Evaluate a model on a split.

    This writes metrics.json, and the tables of `Figures.tabulate`: predictions.csv and others.

    Args:
        predictor: Predictor of the model.
        head: Head of the model.
        batches: Batches of the split, in order.
        files: Name of each example.
        targets: Targets as in `Examples.targets`.
        train_targets: Training targets, for the baseline that does not look at the inputs.
        folder: Folder for the files.
        progress: Called with the number of examples done and in total.
    """
    standardised = predictor(
        batches, num_examples=len(files), progress=progress, condense=head.condense
    )
    outputs = head.restore_units(standardised)
    task, names = head.task, head.class_names
    figures = judge(task, names, targets, outputs, train_targets=train_targets)
    write_tables(folder, task.figures.tabulate(names, files, targets, outputs))
    write_json(folder / "metrics.json", figures)
    return Evaluation(figures, outputs)
