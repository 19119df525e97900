"""The mean and the deviation of numbers, in which they are learned."""

from __future__ import annotations

import numpy as np


def fit_units(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations, float64 (numbers,) each; the deviation of a constant is 1.

    Args:
        targets: Numbers (examples, numbers).
    """
    wide = np.asarray(targets, np.float64)
    # Of equal numbers, the mean may differ from them by its rounding.
    is_constant = np.ptp(wide, axis=0) == 0
    means = np.where(is_constant, wide[0], wide.mean(axis=0))
    # The squares of the smallest numbers would be zero.
    scales = np.where(is_constant, 1.0, np.abs(wide - means).max(axis=0))
    deviations = scales * np.sqrt(np.square((wide - means) / scales).mean(axis=0))
    return means, np.where(is_constant, 1.0, deviations)
