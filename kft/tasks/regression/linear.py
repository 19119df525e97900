"""Squared error for solved linear heads."""

from __future__ import annotations

import numpy as np

from kft.figures import format_figure


class NumberLoss:
    """Half the squared error, with the mean absolute error in deviations as its score."""

    score_name = "error"

    def replace_by_slopes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute losses and gradients; see `LinearLoss`."""
        logits -= targets[:, np.newaxis, :]
        return 0.5 * np.vecdot(logits, logits)

    def score(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute the mean absolute error."""
        error: np.ndarray = np.abs(logits - targets).mean(axis=-1)
        return error

    def format_score(self, score: float) -> str:
        """Format a number of deviations."""
        return f"{format_figure(score)} deviations"

    def curvature(self, num_outputs: int) -> float:
        """Estimate the curvature; see `LinearLoss`."""
        return 0.05

    def find_classes(self, targets: np.ndarray) -> np.ndarray | None:
        """Return None, since there are no classes."""
        return None
