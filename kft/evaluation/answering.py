"""When to answer: thresholds and sets, chosen on unseen answers and measured on the holdout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


def describe_answering(told: Mapping[str, Any]) -> Iterator[str]:
    """Describe what was measured, in sentences.

    Args:
        told: Result of `measure_answering`.
    """
    if "stated_error" in told:
        yield _describe_threshold(told)
    if "sets" in told:
        sets = told["sets"]
        low, high = sets["coverage_95_percent_interval"]
        yield (
            f"Sets of all classes with a probability of at least {sets['threshold']:.3f} hold the "
            f"true class of {_percent(sets['coverage'])} ({_percent(low)} to {_percent(high)}; "
            f"stated {_percent(sets['stated_coverage'])}), with {sets['mean_size']:.2f} classes in "
            "the mean."
        )
    if "label_thresholds" in told:
        yield (
            f"With a threshold for each label, macro F1 is {told['macro_f1']:.3f}; with one half "
            f"for all, {told['macro_f1_at_one_half']:.3f}."
        )


def _describe_threshold(told: Mapping[str, Any]) -> str:
    stated, count = _percent(told["stated_error"]), told["unseen_answers"]
    if told["threshold"] is None:
        return (
            f"It is never sure: {count:,} unseen answers cannot show an error of at most {stated}."
        )
    answered = f"It is sure of {_percent(told['answered'])} of the answers"
    if told["error"] is None:
        return f"{answered}; the stated error is at most {stated}."
    low, high = told["error_95_percent_interval"]
    return (
        f"{answered}, those with a probability of at least {told['threshold']:.3f}, and "
        f"{_percent(told['error'])} of these are wrong ({_percent(low)} to {_percent(high)}; "
        f"stated at most {stated})."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def read_answering(folder: Path) -> dict[str, Any]:
    """Read the result of `measure_answering`; empty if it was not written.

    Args:
        folder: Folder of the evaluation.

    Raises:
        RunError: The file is damaged.
    """
    file = folder / ANSWERING
    return dict(read_json(file)) if file.is_file() else {}
