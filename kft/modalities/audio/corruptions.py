"""Corruptions of recordings: noise and gain."""

from __future__ import annotations

import numpy as np

from kft.modalities.audio.input_spec import WAVEFORM
from kft.modalities.corruptions import Corruption, change_element

# Decibels of the recording above white noise.
_NOISE = (30, 20, 10, 5, 0)
# Decibels by which it is softer.
_GAIN = (6, 12, 20, 30, 40)


def _add_noise(samples: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    level = np.sqrt(np.mean(np.square(samples))) * 10 ** (-_NOISE[strength] / 20)
    return samples + random.normal(0, 1, samples.shape) * level


def _soften(samples: np.ndarray, strength: int, random: np.random.Generator) -> np.ndarray:
    return samples * 10 ** (-_GAIN[strength] / 20)


CORRUPTIONS = (
    Corruption(
        "noise",
        tuple(f"{decibels} dB below the recording" for decibels in _NOISE),
        change_element(WAVEFORM, _add_noise),
    ),
    Corruption(
        "gain",
        tuple(f"-{decibels} dB" for decibels in _GAIN),
        change_element(WAVEFORM, _soften),
    ),
)
