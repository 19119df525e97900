"""Interface of the convex losses of linear heads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np


class LinearLoss(Protocol):
    """Convex loss of logits, for `solve_linear`.

    Attributes:
        score_name: Name of the score, such as 'accuracy' or 'error'.
    """

    score_name: str

    def replace_by_slopes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute losses, and overwrite the logits in place with the gradients of the losses.

        With a thousand outputs, writing to new arrays would take longer than the arithmetic.

        Args:
            logits: Logits (rows, folds, outputs), overwritten.
            targets: Dense targets (rows, outputs).

        Returns:
            Losses (rows, folds).
        """

    def score(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute the score of each row, (rows,).

        Args:
            logits: Logits (rows, outputs).
            targets: Dense targets (rows, outputs).
        """

    def format_score(self, score: float) -> str:
        """Format a mean score, with its unit."""

    def curvature(self, num_outputs: int) -> float:
        """Estimate the curvature of the loss along an axis of the features, relative to its spread.

        It is at most one half, and far less once most examples are separated; one twentieth was
        fastest over the whole path.
        """

    def find_classes(self, targets: np.ndarray) -> np.ndarray | None:
        """Find the class of each row, for stratified folds; None without classes."""


@dataclass(frozen=True)
class LinearTargets:
    """Targets and loss terms that a linear head is solved for.

    Attributes:
        dense: Targets (examples, outputs): 0 and 1, shares, or numbers.
        weights: Factors (examples,) on the losses of examples; None for 1.
        offsets: Offsets (outputs,) added to the logits only in the loss; None for 0.
        groups: Group (examples,) of each example, int64 from 0; cross-validation leaves out whole
            groups, such as all pictures of one patient or near duplicates. None if each example
            stands alone.
    """

    dense: np.ndarray
    weights: np.ndarray | None = None
    offsets: np.ndarray | None = None
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.dense)

    def take(self, rows: np.ndarray) -> LinearTargets:
        """Select the examples at `rows`, in that order."""
        return replace(
            self,
            dense=self.dense[rows],
            weights=None if self.weights is None else self.weights[rows],
            groups=None if self.groups is None else self.groups[rows],
        )
