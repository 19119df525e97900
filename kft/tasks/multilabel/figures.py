"""Figures of multilabel classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_share
from kft.statistics import wilson_interval
from kft.tasks.figures import (
    LEAST_PROBABILITY,
    Figures,
    count_examples,
    name_unjudged,
)


class LabelFigures(Figures):
    """Figures of labels: accuracy over all labels, exact matches with interval, and per label."""

    names_key: ClassVar[str] = "labels"

    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute binary cross-entropies, averaged over the labels."""
        values = np.asarray(outputs, np.float64)
        right = np.where(np.asarray(targets) > 0.5, values, 1.0 - values)
        losses: np.ndarray = np.mean(-np.log(np.maximum(right, LEAST_PROBABILITY)), axis=1)
        return losses

    def accuracy(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """Compute the share of labels on the right side of one half."""
        return float(np.mean((outputs > 0.5) == (targets > 0.5)))

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
    ) -> dict[str, Any]:
        """Compute the figures; labels without examples do not count in `macro_f1`."""
        predicted = (outputs >= 0.5).astype(int)
        truth = targets.astype(int)
        labels = {
            name: _score_label(truth[:, i], predicted[:, i], outputs[:, i])
            for i, name in enumerate(names)
        }
        f1 = [label["f1"] for label in labels.values() if label["f1"] is not None]
        majority = (train_targets.mean(axis=0) >= 0.5).astype(int)
        exact = int((predicted == truth).all(axis=1).sum())
        return {
            "examples": len(targets),
            "accuracy": float((predicted == truth).mean()),
            "majority_label_accuracy": float((truth == majority).mean()),
            "exact_match": exact / len(targets),
            "exact_match_95_percent_interval": list(wilson_interval(exact, len(targets))),
            "macro_f1": float(np.mean(f1)) if f1 else None,
            "different_answers": len(np.unique(predicted, axis=0)),
            self.names_key: labels,
            **name_unjudged(names, truth.sum(axis=0)),
        }

    def headline(self, figures: Mapping[str, Any]) -> str:
        """Format the accuracy, with that of each label's majority, and the exact matches."""
        same = ""
        is_better = figures["accuracy"] > figures["majority_label_accuracy"]
        if figures.get("different_answers") == 1 and figures["examples"] > 1 and not is_better:
            same = (
                ". The model answers the same labels for all of them: no better than the majority"
            )
        return (
            f"label accuracy {format_share(figures['accuracy'])} (answering each label's majority: "
            f"{format_share(figures['majority_label_accuracy'])}), exact match "
            f"{format_share(figures['exact_match'])}, {count_examples(figures)}{same}"
        )


def _score_label(
    truth: np.ndarray, predicted: np.ndarray, probability: np.ndarray
) -> dict[str, Any]:
    """Compute the figures of one label; all are None if no example has it."""
    from sklearn import metrics

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
