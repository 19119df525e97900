"""Model and split -> an `Evaluation`, and its files in the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.evaluation.metrics import compute_metrics
from kft.evaluation.prediction import Predictor
from kft.evaluation.prediction_files import write_confusion, write_predictions
from kft.heads.base import Head
from kft.runs.atomic import write_json


@dataclass(frozen=True)
class Evaluation:
    """How a model does on one split.

    Attributes:
        figures: As `compute_metrics` gives them.
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

    Writes metrics.json and predictions.csv; of classes confusion.csv, and of many of them
    probabilities.npz.

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
    figures = compute_metrics(head.target_kind, targets, outputs, head.class_names, train_targets)
    write_predictions(folder, head=head, files=files, targets=targets, outputs=outputs)
    if head.target_kind == "class":
        write_confusion(
            folder / "confusion.csv", names=head.class_names, targets=targets, outputs=outputs
        )
    write_json(folder / "metrics.json", figures)
    return Evaluation(figures, outputs)
