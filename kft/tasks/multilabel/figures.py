"""Figures of multilabel classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_share
from kft.statistics import rank_columns
from kft.tasks.figures import (
    INTERVALS,
    LEAST_PROBABILITY,
    Figures,
    Lead,
    count_examples,
    find_interval,
    name_unjudged,
)
from kft.tasks.name_counts import NameCounts, describe_intervals, describe_scores, judge_units


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

    def lead_values(
        self, targets: np.ndarray, outputs: np.ndarray, train_targets: np.ndarray
    ) -> np.ndarray:
        """Compute the share of right labels of each example."""
        shares: np.ndarray = ((outputs >= 0.5) == (targets > 0.5)).mean(axis=1)
        return shares

    def find_events(
        self, outputs: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the probability of each label of each example, and whether it is there."""
        return outputs.ravel(), targets.ravel() > 0.5

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """Compute the figures; labels without examples do not count in means over labels."""
        predicted = (outputs >= 0.5).astype(int)
        truth = targets.astype(int)
        counts = NameCounts.of_labels(truth, predicted)
        scores = counts.score()
        ranking = rank_columns(truth.T.astype(bool), outputs)
        # Values of the examples whose means are figures.
        means = {
            "accuracy": (predicted == truth).mean(axis=1),
            "exact_match": (predicted == truth).all(axis=1),
            "log_loss": self.example_losses(outputs, targets),
        }
        of_all, of_labels = describe_scores(scores, ranking, names)
        intervals, label_intervals = describe_intervals(
            *counts.find_intervals(means, ranking, groups), names
        )
        # With labels, most of which are absent, this is not an accuracy.
        del of_all["balanced_accuracy"], intervals["balanced_accuracy"]
        majority = (train_targets.mean(axis=0) >= 0.5).astype(int)
        return {
            "examples": len(targets),
            **{name: float(values.mean()) for name, values in means.items()},
            "majority_label_accuracy": float((truth == majority).mean()),
            "exact_match_95_percent_interval": intervals["exact_match"]
            or judge_units(means["exact_match"], groups),
            **of_all,
            "different_answers": len(np.unique(predicted, axis=0)),
            self.names_key: of_labels,
            INTERVALS: {**intervals, self.names_key: label_intervals},
            **name_unjudged(names, scores.support[:, 0]),
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

    def lead(self, figures: Mapping[str, Any]) -> Lead:
        """Find the accuracy over all labels."""
        return Lead(
            "label accuracy",
            figures["accuracy"],
            find_interval(figures, "accuracy"),
            "answering each label as most examples have it",
            figures["majority_label_accuracy"],
        )
