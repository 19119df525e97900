"""Whether float16 keeps what float32 activations say."""

from __future__ import annotations

import numpy as np

# Rounding to 11 bits makes an error of 2.8e-4 of each number. Where the numbers vary between
# examples as much as they are large that is lost in any probe; where they hardly vary around a
# large mean the error counts against the variation, and this is where it begins to.
LARGEST_NOISE = 1e-3


def to_float16(values: np.ndarray) -> np.ndarray | None:
    """The values in float16; None where one of them is too large for it."""
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    return rounded if np.array_equal(np.isfinite(rounded), np.isfinite(values)) else None


def rounding_noise(activations: np.ndarray) -> float:
    """Error of float16 (root of the mean square), relative to how numbers vary between examples.

    Args:
        activations: float32 (examples, …) of a batch.

    Returns:
        0 where nothing is lost; infinite where one is too large for float16, or where numbers
        that do not vary are rounded.
    """
    rounded = to_float16(activations)
    if rounded is None:
        return float("inf")
    error = np.square(rounded.astype(np.float32) - activations).mean(dtype=np.float64)
    varied = np.square(activations - activations.mean(axis=0)).mean(dtype=np.float64)
    if varied > 0:
        return float(np.sqrt(error / varied))
    return 0.0 if error == 0 else float("inf")
