"""Judgement of answers: the figures of a task, with intervals and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kft.evaluation.calibration import brier_scores, measure_reliability
from kft.tasks import Task


def judge(
    task: Task,
    names: Sequence[str],
    targets: np.ndarray,
    outputs: np.ndarray,
    *,
    train_targets: np.ndarray,
    groups: np.ndarray | None = None,
    uncooled: np.ndarray | None = None,
) -> dict[str, Any]:
    """Judge the answers to one split, as the JSON values of metrics.json.

    Args:
        task: Task of the answers.
        names: Name of each output.
        targets: Targets as in `Examples.targets`.
        outputs: Outputs in the unit of the targets.
        train_targets: Training targets, for the baseline that does not look at the inputs.
        groups: Group of each example, any values (examples,), if the split kept groups together;
            None if each example stands alone.
        uncooled: Outputs without the temperature of the model's head; None if it has none.

    Returns:
        Name of the task, the figures from `Figures.compute`, and, if answers are probabilities,
        `brier_score` and `calibration`.
    """
    figures = {
        "task": task.name,
        **task.figures.compute(targets, outputs, names, train_targets, groups),
    }
    events = task.figures.find_events(outputs, targets)
    if events is not None:
        figures["brier_score"] = float(brier_scores(outputs, targets).mean())
        figures["calibration"] = measure_reliability(*events).describe()
        before = None if uncooled is None else task.figures.find_events(uncooled, targets)
        if before is not None:
            error = measure_reliability(*before).error
            figures["calibration"]["expected_calibration_error_before_temperature"] = error
    return figures
