"""Evaluation of a model on a split, with its files in the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.config import DataConfig
from kft.data.batches.frames import find_frames
from kft.evaluation.columns import list_columns
from kft.evaluation.judgement import judge
from kft.evaluation.prediction import Predictor
from kft.evaluation.prediction_files import write_tables
from kft.evaluation.slices import write_slices
from kft.examples import Examples
from kft.modalities import Decoder
from kft.runs.atomic import write_json
from kft.tasks.head import Head
from kft.training.temperature import cool


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
    examples: Examples,
    config: DataConfig,
    *,
    train_targets: np.ndarray,
    folder: Path,
    temperature: float | None = None,
    progress: Callable[[int, int], None],
    decoder: Decoder,
) -> Evaluation:
    """Evaluate a model on a split.

    This writes metrics.json, slices.json, and the tables of `Figures.tabulate`: predictions.csv
    and others.

    Args:
        predictor: Predictor of the model.
        head: Head of the model.
        batches: Batches of the split, in order.
        examples: Examples of the split, with targets in their unit.
        config: The `data` section that they were read with.
        train_targets: Training targets, for the baseline that does not look at the inputs.
        folder: Folder for the files.
        temperature: Temperature that the logits were divided by in training; None for none.
        progress: Called with the number of examples done and in total.
        decoder: Decoder of the files.
    """
    standardised = predictor(
        batches, num_examples=len(examples), progress=progress, condense=head.condense
    )
    outputs = head.restore_units(standardised)
    frames = find_frames(examples, decoder, head.task)
    if frames is not None:
        outputs = head.place(outputs, frames)
    task, names, targets = head.task, head.class_names, examples.targets
    uncooled = None
    if temperature is not None:
        uncooled = head.restore_units(cool(head, standardised, 1 / temperature))
    figures = judge(
        task,
        names,
        targets,
        outputs,
        train_targets=train_targets,
        groups=examples.groups,
        uncooled=uncooled,
    )
    write_tables(folder, task.figures.tabulate(names, examples.ids, targets, outputs))
    values = task.figures.lead_values(targets, outputs, train_targets)
    if values is not None:
        columns = list_columns(examples, config, task, names, outputs)
        write_slices(folder, columns, values, is_share=task.is_stratified)
    write_json(folder / "metrics.json", figures)
    return Evaluation(figures, outputs)
