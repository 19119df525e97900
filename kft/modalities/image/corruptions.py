"""Corruptions of pictures: noise, blur, JPEG, brightness, contrast, rotation.

Source: Hendrycks and Dietterich, Benchmarking Neural Network Robustness, arXiv:1903.12261, for the
kinds and the rising strengths; the first strength here is milder than there.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from kft.modalities.corruptions import Corruption, change_element
from kft.modalities.image.input_spec import PIXELS

# Deviation in [0, 255].
_NOISE = (10, 20, 30, 46, 66)
# Deviation of the blur, in thousandths of the longer side, and at least so many pixels: less cannot
# be seen in a small picture.
_BLUR, _LEAST_BLUR = (3, 6, 10, 15, 25), 0.3
_QUALITY = (40, 25, 15, 10, 5)
# Shares that are left.
_BRIGHTNESS = (0.8, 0.6, 0.45, 0.3, 0.15)
_CONTRAST = (0.75, 0.5, 0.35, 0.2, 0.1)
_DEGREES = (5, 10, 20, 30, 45)
_MIDDLE = 127.5


def _add_noise(pixels: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    return pixels + random.normal(0, _NOISE[strength], pixels.shape)


def _blur(pixels: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    share = _BLUR[strength] / 1000 * max(pixels.shape[:2])
    deviation = max(share, _LEAST_BLUR * (strength + 1))
    blurred: np.ndarray = ndimage.gaussian_filter(pixels, (deviation, deviation, 0))
    return blurred


def _compress(pixels: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    encoded = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(encoded, "JPEG", quality=_QUALITY[strength])
    return np.asarray(Image.open(encoded))


def _darken(pixels: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    return pixels * _BRIGHTNESS[strength]


def _flatten(pixels: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    return _MIDDLE + (pixels - _MIDDLE) * _CONTRAST[strength]


def _rotate(pixels: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    degrees = _DEGREES[strength] * (1 if random.random() < 0.5 else -1)
    turned: np.ndarray = ndimage.rotate(pixels, degrees, reshape=False, order=1, mode="nearest")
    return turned


def _describe(values: tuple[float, ...], form: str) -> tuple[str, ...]:
    return tuple(form.format(value) for value in values)


CORRUPTIONS = tuple(
    Corruption(name, strengths, change_element(PIXELS, change))
    for name, strengths, change in (
        ("noise", _describe(_NOISE, "deviation {} of 255"), _add_noise),
        ("blur", _describe(_BLUR, "{} thousandths of a side"), _blur),
        ("JPEG", _describe(_QUALITY, "quality {}"), _compress),
        ("brightness", _describe(_BRIGHTNESS, "{:.0%} is left"), _darken),
        ("contrast", _describe(_CONTRAST, "{:.0%} is left"), _flatten),
        ("rotation", _describe(_DEGREES, "{} degrees"), _rotate),
    )
)
