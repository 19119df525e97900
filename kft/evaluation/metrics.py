"""Targets and outputs -> figures, each with what it must be compared to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from kft.heads.regression import RegressionHead
from kft.training.comparison import wilson_interval


def compute_metrics(
    target_kind: str,
    targets: np.ndarray,
    outputs: np.ndarray,
    class_names: Sequence[str],
    train_targets: np.ndarray,
) -> dict[str, Any]:
    """The figures for one split, as JSON values.

    Args:
        target_kind: 'class', 'labels' or 'number'.
        targets: As `Examples.targets`.
        outputs: Probabilities, or numbers in the unit of the targets (examples, outputs).
        class_names: Name of each output.
        train_targets: What a baseline that looks at no picture would know.

    Returns:
        Of a class or label without an example in the split all figures are None; it is named in
        `not_judged`, where there is one, and is not in `macro_f1`.
    """
    if target_kind == "class":
        return _class_metrics(targets, outputs, class_names, train_targets)
    if target_kind == "labels":
        return _label_metrics(targets, outputs, class_names, train_targets)
    return _number_metrics(targets, outputs, class_names, train_targets)


def _class_metrics(
    targets: np.ndarray, outputs: np.ndarray, names: Sequence[str], train_targets: np.ndarray
) -> dict[str, Any]:
    indices = list(range(len(names)))
    predicted = outputs.argmax(axis=1)
    correct = int((predicted == targets).sum())
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        targets, predicted, labels=indices, zero_division=0.0
    )
    majority = int(np.bincount(train_targets, minlength=len(names)).argmax())
    answered = np.bincount(predicted, minlength=len(names))
    return {
        "examples": len(targets),
        "accuracy": correct / len(targets),
        "accuracy_95_percent_interval": list(wilson_interval(correct, len(targets))),
        "majority_class_accuracy": float((targets == majority).mean()),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "macro_f1": float(f1[support > 0].mean()),
        "log_loss": float(_log_loss(targets, outputs)),
        "most_answered": {
            "class": names[int(answered.argmax())],
            "examples": int(answered.max()),
        },
        "classes": {
            name: {
                "precision": float(precision[i]) if support[i] else None,
                "recall": float(recall[i]) if support[i] else None,
                "f1": float(f1[i]) if support[i] else None,
                "examples": int(support[i]),
            }
            for i, name in enumerate(names)
        },
        **_name_unjudged(names, support),
    }


def _name_unjudged(names: Sequence[str], support: np.ndarray) -> dict[str, list[str]]:
    """The classes or labels without an example, for the figures; nothing where all have one."""
    unjudged = [name for name, number in zip(names, support, strict=True) if not number]
    return {"not_judged": unjudged} if unjudged else {}


def _log_loss(targets: np.ndarray, probabilities: np.ndarray) -> float:
    true = probabilities[np.arange(len(targets)), targets]
    # float32 cannot tell a probability below this from zero.
    return float(-np.log(np.maximum(true.astype(np.float64), 1e-38)).mean())


def _label_metrics(
    targets: np.ndarray, outputs: np.ndarray, names: Sequence[str], train_targets: np.ndarray
) -> dict[str, Any]:
    predicted = (outputs >= 0.5).astype(int)
    truth = targets.astype(int)
    labels = {
        name: _judge_label(truth[:, i], predicted[:, i], outputs[:, i])
        for i, name in enumerate(names)
    }
    judged = [label["f1"] for label in labels.values() if label["f1"] is not None]
    majority = (train_targets.mean(axis=0) >= 0.5).astype(int)
    exact = int((predicted == truth).all(axis=1).sum())
    return {
        "examples": len(targets),
        "accuracy": float((predicted == truth).mean()),
        "majority_label_accuracy": float((truth == majority).mean()),
        "exact_match": exact / len(targets),
        "exact_match_95_percent_interval": list(wilson_interval(exact, len(targets))),
        "macro_f1": float(np.mean(judged)) if judged else None,
        "different_answers": len(np.unique(predicted, axis=0)),
        "labels": labels,
        **_name_unjudged(names, truth.sum(axis=0)),
    }


def _judge_label(
    truth: np.ndarray, predicted: np.ndarray, probability: np.ndarray
) -> dict[str, Any]:
    """The figures of one label where it is on; None where it never is."""
    if not truth.any():
        return dict.fromkeys(("precision", "recall", "f1", "average_precision")) | {"examples": 0}
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, predicted, average="binary", zero_division=0.0
    )
    return {
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "average_precision": float(metrics.average_precision_score(truth, probability)),
        "examples": int(truth.sum()),
    }


def _number_metrics(
    targets: np.ndarray, outputs: np.ndarray, names: Sequence[str], train_targets: np.ndarray
) -> dict[str, Any]:
    """The errors of each number in its unit, and over all of them in training deviations.

    Numbers of different units have no mean; in units of what each deviates by in training, they
    have.
    """
    units = RegressionHead.fit_units(train_targets)
    deviations = np.array(units["deviations"])
    errors = np.abs(np.asarray(outputs, np.float64) - targets)
    baseline = np.abs(targets - np.array(units["means"]))
    return {
        "examples": len(targets),
        "standardised_absolute_error": float((errors / deviations).mean()),
        "mean_target_standardised_absolute_error": float((baseline / deviations).mean()),
        "numbers": {
            name: {
                "mean_absolute_error": float(errors[:, i].mean()),
                "mean_target_absolute_error": float(baseline[:, i].mean()),
                "root_mean_squared_error": float(np.sqrt((errors[:, i] ** 2).mean())),
                "r_squared": _r_squared(targets[:, i], errors[:, i]),
            }
            for i, name in enumerate(names)
        },
    }


def _r_squared(targets: np.ndarray, errors: np.ndarray) -> float | None:
    """Share of the spread that the errors leave out; None where there is no spread."""
    if np.ptp(targets) == 0:
        return None
    centred = targets - targets.mean()
    # The squares of the smallest numbers would be zero.
    scale = np.abs(centred).max()
    return float(1 - np.square(errors / scale).sum() / np.square(centred / scale).sum())
