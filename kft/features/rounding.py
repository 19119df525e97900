"""Rounding of activations to float16, and the error that it makes."""

from __future__ import annotations

import numpy as np

# Rounding to 11 bits makes a relative error of 2.8e-4 in each number. It is negligible where
# numbers vary between examples as much as they are large. Where they vary little around a large
# mean, the error grows relative to the variation; from this ratio on it affects a probe.
LARGEST_NOISE = 1e-3


def to_float16(values: np.ndarray) -> np.ndarray | None:
    """Round values to float16; None if one of them is too large.

    >>> to_float16(np.array([0.5, 65504.0], np.float32))
    array([5.00e-01, 6.55e+04], dtype=float16)
    >>> to_float16(np.array([65520.0], np.float32)) is None
    True
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    return rounded if np.array_equal(np.isfinite(rounded), np.isfinite(values)) else None


def rounding_noise(activations: np.ndarray) -> float:
    """Root mean square error of float16, relative to the standard deviation between examples.

    Args:
        activations: float32 (examples, …) of one batch.

    Returns:
        The ratio: 0 if rounding loses nothing; infinite if a number is too large for float16, or
        if numbers are rounded that do not vary.
    """
    rounded = to_float16(activations)
    if rounded is None:
        return float("inf")
    error = np.square(rounded.astype(np.float32) - activations).mean(dtype=np.float64)
    varied = np.square(activations - activations.mean(axis=0)).mean(dtype=np.float64)
    if varied > 0:
        return float(np.sqrt(error / varied))
    return 0.0 if error == 0 else float("inf")
