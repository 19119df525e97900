"""A picture with what an answer depends on."""

from __future__ import annotations

import numpy as np

from kft.modalities.overlays import colour_over, encode_overlay, scale_values


def draw_over_picture(pixels: np.ndarray, values: np.ndarray) -> bytes:
    """Draw a picture in grey with values over it: PNG.

    Args:
        pixels: Pixels in [0, 255] (height, width, 3).
        values: Value of each pixel (height, width).
    """
    return encode_overlay(colour_over(pixels.mean(axis=-1), scale_values(values)))
