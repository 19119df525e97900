"""Minimisation of several independent convex functions at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

# Number of steps whose curvature is remembered.
_MEMORY = 10
_MAX_STEPS = 500


def minimise(
    objective: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    start: np.ndarray,
    tolerance: float,
    floor: float = 0.0,
) -> np.ndarray:
    """Minimise several convex functions, each of its own variables, by L-BFGS.

    SciPy's L-BFGS takes one function, so all folds would share one step
    length, and its own arithmetic in float64 would take longer than these
    objectives.

    Args:
        objective: Function from variables (problems, …) to values (problems,) and gradients
            shaped like the variables.
        start: Start values of the variables.
        tolerance: Decrease, relative to the value, below which a problem counts as solved.
        floor: Lower bound on the value that the decrease is relative to.

    Returns:
        The variables at the minima, shaped like `start`.

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
    """Compute the L-BFGS direction, in float32 like the slope."""
    direction, product = -slope, np.empty_like(slope)
    factors = []
    for step, change in reversed(memory):
        curvature = _dot(step, change)
        # A solved problem no longer changes, so it has no curvature to remember.
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
    """Make a float32 column of factors, since float64 would convert the vectors it multiplies."""
    return factors.astype(np.float32)[:, None]
