"""Colours of explanations, and PNG files of them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

# What speaks for an answer is warm, what speaks against it is cold; both are told apart by people
# who see no red or no green.
FOR, AGAINST = np.array([217.0, 72.0, 1.0]), np.array([33.0, 113.0, 181.0])
# Values above this share of all are drawn as the highest: single ones would leave the rest blank.
_FULL_QUANTILE = 0.99
# Share of the overlay that covers the example where it is strongest.
_COVER = 0.85
# Pixels of the longer side of an overlay, and its colours: 40 KB of a photograph, so that a page
# may show dozens.
_LONGER_SIDE, _COLOURS = 336, 128


def scale_values(values: np.ndarray) -> np.ndarray:
    """Scale values to [-1, 1], with the highest percent of them at the ends.

    Args:
        values: Signed values of any shape.
    """
    full = float(np.quantile(np.abs(values), _FULL_QUANTILE)) or float(np.abs(values).max())
    return np.clip(values / full, -1.0, 1.0) if full else np.zeros_like(values)


def colour_over(grey: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Lay values over a grey picture: uint8 (height, width, 3).

    Args:
        grey: Brightness in [0, 255] (height, width).
        values: Values in [-1, 1] (height, width).
    """
    cover = (np.abs(values) * _COVER)[..., np.newaxis]
    colour = np.where((values >= 0)[..., np.newaxis], FOR, AGAINST)
    mixed = (1 - cover) * grey[..., np.newaxis] + cover * colour
    return np.round(np.clip(mixed, 0, 255)).astype(np.uint8)


def encode_overlay(pixels: np.ndarray) -> bytes:
    """Encode pixels uint8 (height, width, 3) as a PNG that is large enough to look at."""
    picture = Image.fromarray(pixels)
    factor = _LONGER_SIDE / max(picture.size)
    if factor > 1:
        width, height = (max(1, round(side * factor)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.NEAREST)
    return encode_png(picture)


def encode_png(picture: Image.Image) -> bytes:
    """Encode a picture as a PNG of few colours."""
    content = io.BytesIO()
    picture.quantize(_COLOURS).save(content, "PNG", optimize=True)
    return content.getvalue()
