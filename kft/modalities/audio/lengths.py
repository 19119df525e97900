"""The seconds that a model hears of each recording, by the recordings that it is trained on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from kft.examples import Examples, Files, Inputs
from kft.modalities.audio.wav_header import read_wav_header

_PERCENTILE = 95
# A percentile of more recordings would hardly differ.
_MOST_RECORDINGS = 2_000
# Where the data decide, longer recordings are heard in windows.
MOST_SECONDS = 10.0
# Seconds are rounded up to tenths.
_PER_SECOND = 10


def choose_seconds(examples: Examples) -> float:
    """Seconds that hold 95 of 100 recordings, rounded up to tenths; at most 10.

    Args:
        examples: Training recordings; of more than 2,000, evenly chosen ones are looked at.
    """
    chosen = np.linspace(0, len(examples) - 1, min(len(examples), _MOST_RECORDINGS)).astype(int)
    lengths = [read_wav_header(_read(examples.inputs, place)).seconds for place in chosen]
    needed = float(np.percentile(lengths, _PERCENTILE, method="inverted_cdf"))
    return min(math.ceil(needed * _PER_SECOND - 1e-6) / _PER_SECOND, MOST_SECONDS)


def _read(inputs: Inputs, place: int) -> bytes:
    if isinstance(inputs, Files):
        return Path(inputs.paths[place]).read_bytes()
    return inputs.contents[place]
