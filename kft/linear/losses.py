"""What a loss of a linear head has to say of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class LinearLoss(Protocol):
    """A convex loss of logits, for `solve_linear`.

    Attributes:
        score_name: Of the score: 'accuracy', 'error'.
    """

    score_name: str

    def replace_by_slopes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Losses (rows, folds); the logits become the slopes of the losses, in their own memory.

        Where there are a thousand outputs, writing new arrays would take longer than the
        arithmetic.

        Args:
            logits: (rows, folds, outputs); overwritten.
            targets: Dense (rows, outputs).
        """

    def score(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Score of each row (rows,).

        Args:
            logits: (rows, outputs).
            targets: Dense (rows, outputs).
        """

    def format_score(self, score: float) -> str:
        """The mean score as people read it, with its unit."""

    def curvature(self, num_outputs: int) -> float:
        """Curvature of the loss along an axis of the features, in units of its spread.

        At most half, and far less once most examples are told apart; a twentieth was fastest
        over the whole path.
        """

    def find_classes(self, targets: np.ndarray) -> np.ndarray | None:
        """Class of each row, of which every fold gets its share; None without classes."""


@dataclass(frozen=True)
class LinearTargets:
    """What a linear head is solved for.

    Attributes:
        dense: (examples, outputs): rows of 0 and 1, shares, or numbers.
        weights: (examples,) factor on each example's loss; None for 1.
        offsets: (outputs,) added to the logits in the loss only; None for 0.
    """

    dense: np.ndarray
    weights: np.ndarray | None = None
    offsets: np.ndarray | None = None
