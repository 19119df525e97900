"""Squared error of a linear head that is solved."""

from __future__ import annotations

import numpy as np

from kft.figures import format_figure


class NumberLoss:
    """Half the squared error; its score is the mean absolute error, in training deviations."""

    score_name = "error"

    def replace_by_slopes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """See `LinearLoss`."""
        logits -= targets[:, np.newaxis, :]
        return 0.5 * np.vecdot(logits, logits)

    def score(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The mean absolute error."""
        error: np.ndarray = np.abs(logits - targets).mean(axis=-1)
        return error

    def format_score(self, score: float) -> str:
        """A number of deviations."""
        return f"{format_figure(score)} deviations"

    def curvature(self, num_outputs: int) -> float:
        """See `LinearLoss`."""
        return 0.05

    def find_classes(self, targets: np.ndarray) -> np.ndarray | None:
        """None: there are no classes."""
        return None
