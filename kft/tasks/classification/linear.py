"""Cross-entropy for solved linear heads."""

from __future__ import annotations

import numpy as np

from kft.figures import format_share


class ClassLoss:
    """Cross-entropy of classes, with the accuracy as its score."""

    score_name = "accuracy"

    def replace_by_slopes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute losses and gradients; see `LinearLoss`."""
        logits -= logits.max(axis=-1, keepdims=True)
        answered = np.vecdot(logits, targets[:, np.newaxis, :])
        np.exp(logits, out=logits)
        sums, totals = logits.sum(axis=-1), targets.sum(axis=-1)[:, np.newaxis]
        losses: np.ndarray = totals * np.log(sums) - answered
        logits *= (totals / sums)[..., np.newaxis]
        logits -= targets[:, np.newaxis, :]
        return losses

    def score(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Tell whether the largest logit is that of the class."""
        right: np.ndarray = logits.argmax(axis=-1) == targets.argmax(axis=-1)
        return right

    def format_score(self, score: float) -> str:
        """Format a share."""
        return format_share(score)

    def curvature(self, num_outputs: int) -> float:
        """Estimate the curvature, which the classes divide among them."""
        return min(0.05, 0.1 / num_outputs)

    def find_classes(self, targets: np.ndarray) -> np.ndarray | None:
        """Find the largest target of each row."""
        classes: np.ndarray = targets.argmax(axis=1)
        return classes
