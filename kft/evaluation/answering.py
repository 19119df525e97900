"""When to answer: thresholds and sets, chosen on unseen answers and measured on the holdout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kft.evaluation.abstention import (
    choose_label_thresholds,
    choose_threshold,
    fit_conformal,
    make_conformal_sets,
    measure_abstention,
)
from kft.runs.layout import read_json
from kft.statistics import wilson_interval
from kft.tasks import Task
from kft.tasks.name_counts import NameCounts

ANSWERING = "answering.json"
"""Name of the file in the folder of an evaluation."""
# Share of sets that may miss the true class.
_SET_ERROR = 0.1
# Confidence that no answer has.
NEVER = 2.0


def choose_confidence(
    task: Task, outputs: np.ndarray, targets: np.ndarray, error: float
) -> float | None:
    """Choose the least confidence at which a model is sure; None if it never is.

    It lies between two unseen answers, so that rounding decides nothing.

    Args:
        task: Task whose answers are right or wrong.
        outputs: Unseen answers (examples, outputs).
        targets: Their targets.
        error: Largest share of wrong answers among the sure ones.
    """
    right = task.figures.are_right(outputs, targets)
    assert right is not None, "checked with the settings"
    confidence = outputs.max(axis=1).astype(np.float64)
    chosen = choose_threshold(confidence, right, error)
    if chosen is None:
        return None
    below = confidence[confidence < chosen]
    return float((chosen + (below.max() if len(below) else 0.0)) / 2)


def measure_answering(
    task: Task,
    names: Sequence[str],
    unseen: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
    *,
    error: float | None,
) -> dict[str, Any]:
    """Choose thresholds and sets on unseen answers, and measure them on the holdout.

    Args:
        task: Task of the answers.
        names: Name of each output.
        unseen: Outputs and targets of unseen answers.
        held: Outputs and targets of the holdout.
        error: Share of wrong answers for which a threshold is wanted; None for no threshold.

    Returns:
        JSON values; empty for answers that are neither classes nor labels.
    """
    outputs, targets = held
    described: dict[str, Any] = {"unseen_answers": len(unseen[0])}
    if task.figures.are_right(*unseen) is None:
        return described | _describe_labels(names, unseen, held) if task.is_stratified else {}
    if error is not None:
        threshold = choose_confidence(task, *unseen, error)
        right = task.figures.are_right(outputs, targets)
        assert right is not None
        told = measure_abstention(
            outputs.max(axis=1), right, NEVER if threshold is None else threshold
        )
        described |= {
            "stated_error": error,
            "threshold": threshold,
            "answered": told.coverage,
            "error": told.error,
            "error_95_percent_interval": told.interval,
        }
    limit = fit_conformal(*unseen, _SET_ERROR)
    sets = make_conformal_sets(outputs, limit)
    covered = int(sets[np.arange(len(targets)), targets].sum())
    return described | {
        "sets": {
            "stated_coverage": 1 - _SET_ERROR,
            "threshold": limit,
            "coverage": covered / len(targets),
            "coverage_95_percent_interval": wilson_interval(covered, len(targets)),
            "mean_size": float(sets.sum(axis=1).mean()),
        }
    }


def _describe_labels(
    names: Sequence[str],
    unseen: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
) -> dict[str, Any]:
    """Choose a threshold for each label, and measure what that gains."""
    thresholds = choose_label_thresholds(*unseen)
    outputs, truth = held[0], held[1].astype(int)
    at_half, chosen = (
        float(NameCounts.of_labels(truth, (outputs >= limit).astype(int)).score().macro_f1[0])
        for limit in (0.5, thresholds)
    )
    return {
        "label_thresholds": dict(zip(names, thresholds.tolist(), strict=True)),
        "macro_f1": chosen,
        "macro_f1_at_one_half": at_half,
    }


def read_answering(folder: Path) -> dict[str, Any]:
    """Read the result of `measure_answering`; empty if it was not written.

    Args:
        folder: Folder of the evaluation.

    Raises:
        RunError: The file is damaged.
    """
    file = folder / ANSWERING
    return dict(read_json(file)) if file.is_file() else {}
