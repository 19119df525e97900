"""Units of regression targets: mean and standard deviation."""

from __future__ import annotations

import numpy as np


def fit_units(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute means and standard deviations, float64 (numbers,) each; constants have deviation 1.

    >>> fit_units(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 1.]))

    Args:
        targets: Numbers (examples, numbers).
    """
    wide = np.asarray(targets, np.float64)
    # The computed mean of equal numbers may differ from them by rounding.
    is_constant = np.ptp(wide, axis=0) == 0
    means = np.where(is_constant, wide[0], wide.mean(axis=0))
    # Without the scales, the squares of very small numbers would be zero.
    scales = np.where(is_constant, 1.0, np.abs(wide - means).max(axis=0))
    deviations = scales * np.sqrt(np.square((wide - means) / scales).mean(axis=0))
    return means, np.where(is_constant, 1.0, deviations)
