"""Convex functions side by side -> where each is least."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

# Steps whose curvature is remembered.
_MEMORY = 10
_MAX_STEPS = 500


def minimise(
    objective: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    start: np.ndarray,
    tolerance: float,
    floor: float = 0.0,
) -> np.ndarray:
    """Where several convex functions are least, each in its own variables: L-BFGS.

    SciPy's takes one function: one step length for all folds, and more time
    for its own arithmetic in float64 than these objectives take.

    Args:
        objective: (problems, …) variables -> values (problems,), and slopes like the variables.
        start: Where to begin.
        tolerance: A problem is solved when its decrease falls below this share of its value.
        floor: Value below which the share is taken of this one.

    Source: Nocedal and Wright, Numerical Optimization, 7.4 and 7.5.
    """
    shape = start.shape
    point = start.reshape(len(start), -1).copy()

    def evaluate(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = objective(at.reshape(shape))
        return values, slopes.reshape(point.shape)

    value, slope = evaluate(point)
    memory: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=_MEMORY)
    for _ in range(_MAX_STEPS):
        direction = _direction(slope, memory)
        descent = _dot(direction, slope)
        length = np.ones(len(point), np.float32)
        for _ in range(30):
            new_point = point + length[:, None] * direction
            new_value, new_slope = evaluate(new_point)
            too_high = new_value > value + 1e-4 * length * descent + 1e-7 * np.abs(value)
            if not too_high.any():
                break
            length = np.where(too_high, 0.4 * length, length).astype(np.float32)
        else:
            break
        memory.append((new_point - point, new_slope - slope))
        decrease = value - new_value
        point, value, slope = new_point, new_value, new_slope
        if (decrease <= tolerance * np.maximum(np.abs(value), floor)).all():
            break
    return point.reshape(shape)


def _direction(slope: np.ndarray, memory: deque[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Minus the inverse of the remembered curvature, times the slope; float32 as the slope is."""
    direction, product = -slope, np.empty_like(slope)
    factors = []
    for step, change in reversed(memory):
        curvature = _dot(step, change)
        # A problem that is solved no longer moves: it has no curvature to remember.
        inverse = np.where(curvature > 1e-20, 1.0 / np.maximum(curvature, 1e-30), 0.0)
        factor = inverse * _dot(step, direction)
        direction -= np.multiply(change, _column(factor), out=product)
        factors.append((factor, inverse))
    if memory:
        step, change = memory[-1]
        size = _dot(change, change)
        share = np.where(size > 1e-20, _dot(step, change) / np.maximum(size, 1e-30), 1.0)
        direction *= _column(share)
    for (step, change), (factor, inverse) in zip(memory, reversed(factors), strict=True):
        back = inverse * _dot(change, direction)
        direction += np.multiply(step, _column(factor - back), out=product)
    return direction


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.vecdot(a, b).astype(np.float64)


def _column(factors: np.ndarray) -> np.ndarray:
    """One factor per problem; float64 would turn the vectors that it multiplies into float64."""
    return factors.astype(np.float32)[:, None]
