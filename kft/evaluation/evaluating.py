"""Model and split -> an `Evaluation`, and its files in the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.evaluation.prediction import Predictor
from kft.evaluation.prediction_files import write_tables
from kft.runs.atomic import write_json
from kft.tasks.head import Head


@dataclass(frozen=True)
class Evaluation:
    """How a model does on one split.

    Attributes:
        figures: The name of the task, and what `Figures.compute` gives.
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
    """Judge a model on a split.

    Writes metrics.json, and what `Figures.tabulate` gives: predictions.csv and others.

    Args:
        predictor: Of the model.
        head: What the logits mean.
        batches: Of the split, in order.
        files: Name of each example.
        targets: As `Examples.targets`.
        train_targets: For the baseline that looks at no picture.
        folder: Where the files go.
        progress: Told how many are done of how many.
    """
    answered = predictor(batches, num_examples=len(files), progress=progress)
    outputs = head.restore_units(answered)
    judge, names = head.task.figures, head.class_names
    figures = {
        "task": head.task.name,
        **judge.compute(targets, outputs, names, train_targets),
    }
    write_tables(folder, judge.tabulate(names, files, targets, outputs))
    write_json(folder / "metrics.json", figures)
    return Evaluation(figures, outputs)
