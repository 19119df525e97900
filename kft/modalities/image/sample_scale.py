"""Scaling of samples of more than 8 bits to 0 to 255."""

from __future__ import annotations

import numpy as np

FULL_DEPTH = 16
# White of a 16-bit file that uses all bits.
FULL_SCALE = 2**FULL_DEPTH - 1


def scale_samples(samples: np.ndarray, white: int) -> np.ndarray:
    """Scale samples to 8 bits, uint8 of the same shape: 0 stays 0, and `white` becomes 255.

    Brighter samples become white too. Values are rounded to the nearest; ties cannot occur if
    white is odd.

    >>> scale_samples(np.array([0, 2048, 4095, 5000]), 4095).tolist()
    [0, 128, 255, 255]

    Args:
        samples: Whole numbers from 0 to 65,535.
        white: Sample that is shown as 255, from 1 to 65,535.
    """
    scaled = (samples.astype(np.uint32) * 255 + white // 2) // white
    return np.minimum(scaled, 255).astype(np.uint8)
