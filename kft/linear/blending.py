"""Blend of several sets of out-of-fold logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from kft.linear.problem import Problem

# Smaller weights are dropped, because each costs a solution on all examples.
_LEAST_WEIGHT = 0.02


def blend_weights(logits: Sequence[np.ndarray], problem: Problem, folds: np.ndarray) -> np.ndarray:
    """Find the weights of a mean of out-of-fold logits that has the lowest loss.

    Args:
        logits: Sets of logits (rows, outputs), as `Problem.predict_out_of_fold` returns them.
        problem: Problem that has the loss.
        folds: Fold (rows,) that left each row out; -1 for none.

    Returns:
        Weights (sets,), at least 0, with a sum of 1.
    """
    stacked = np.stack(logits)

    def objective(shares: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.tensordot(shares.astype(np.float32), stacked, 1)
        value, slopes = problem.loss_and_slopes(mixed, folds)
        return value, np.tensordot(stacked, slopes, 2).astype(np.float64)

    found = optimize.minimize(
        objective,
        np.full(len(stacked), 1 / len(stacked)),
        jac=True,
        bounds=[(0, 1)] * len(stacked),
        constraints={"type": "eq", "fun": lambda shares: shares.sum() - 1},
        method="SLSQP",
    )
    shares = np.where(found.x < _LEAST_WEIGHT, 0, found.x)
    result: np.ndarray = shares / shares.sum()
    return result
