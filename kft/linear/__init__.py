"""Linear heads at the optimum of their objective, given features and targets."""

from __future__ import annotations

from kft.linear.folds import assign_folds, find_seen, sample_rows
from kft.linear.layered import solve_again, solve_layered
from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.members import LayeredSolution, Member
from kft.linear.problem import MAX_HELD, take_rows
from kft.linear.solving import (
    Attempt,
    CrossValidation,
    Solution,
    cross_validate,
    solve_linear,
)

__all__ = [
    "MAX_HELD",
    "Attempt",
    "CrossValidation",
    "LayeredSolution",
    "LinearLoss",
    "LinearTargets",
    "Member",
    "Solution",
    "assign_folds",
    "cross_validate",
    "find_seen",
    "sample_rows",
    "solve_again",
    "solve_layered",
    "solve_linear",
    "take_rows",
]
