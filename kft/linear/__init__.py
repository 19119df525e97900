"""Linear heads at the optimum of their objective, given features and targets."""

from __future__ import annotations

from kft.linear.layered import LayeredSolution, Member, solve_layered
from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.solving import (
    Attempt,
    CrossValidation,
    Solution,
    cross_validate,
    solve_linear,
)

__all__ = [
    "Attempt",
    "CrossValidation",
    "LayeredSolution",
    "LinearLoss",
    "LinearTargets",
    "Member",
    "Solution",
    "cross_validate",
    "solve_layered",
    "solve_linear",
]
