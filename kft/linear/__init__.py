"""Linear heads at the optimum of their objective, given features and targets."""

from __future__ import annotations

from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.solving import Attempt, Solution, cross_validate, solve_linear

__all__ = [
    "Attempt",
    "LinearLoss",
    "LinearTargets",
    "Solution",
    "cross_validate",
    "solve_linear",
]
