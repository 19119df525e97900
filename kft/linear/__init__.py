"""Features and targets -> the linear head at its optimum."""

from __future__ import annotations

from kft.linear.solving import Attempt, Solution, cross_validate, solve_linear

__all__ = ["Attempt", "Solution", "cross_validate", "solve_linear"]
