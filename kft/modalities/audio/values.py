"""Recordings in memory, samples with their rate, as files."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from kft.modalities.audio.wav_header import FLOAT
from kft.modalities.checked import UnusableError

_ALLOWED = (
    "Allowed: a pair (samples, rate) as soundfile.read gives it: float samples in -1 to 1 or "
    "int16, of shape (samples,) or (samples, channels), and samples per second"
)


def encode_recording(value: Any) -> tuple[bytes] | None:
    """Encode samples and their rate as a WAV file of 32-bit floats; None for anything else.

    Args:
        value: Pair of samples and rate.

    Raises:
        UnusableError: The samples or the rate have another type, shape or range.
    """
    if isinstance(value, np.ndarray) and value.dtype != object:
        raise UnusableError(f"found an array without a sample rate. {_ALLOWED}")
    is_pair = isinstance(value, tuple) and len(value) == 2
    if not is_pair or not isinstance(value[0], np.ndarray):
        return None
    samples, rate = value
    is_rate = isinstance(rate, int | np.integer) and not isinstance(rate, bool) and rate > 0
    is_known = samples.dtype == np.int16 or samples.dtype.kind == "f"
    if not is_rate or not is_known or samples.ndim not in (1, 2) or not samples.size:
        raise UnusableError(
            f"found samples {samples.dtype} of shape {samples.shape} at rate {rate!r}. {_ALLOWED}"
        )
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    floats = (samples / scale).astype("<f4")
    if not np.isfinite(floats).all():
        raise UnusableError(f"found samples that are not finite. {_ALLOWED}")
    return (_encode(floats.reshape(len(floats), -1), int(rate)),)


def _encode(samples: np.ndarray, rate: int) -> bytes:
    channels, values = samples.shape[1], samples.tobytes()
    sizes = (channels, rate, 4 * channels * rate, 4 * channels, 32)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, FLOAT, *sizes)
    data = struct.pack("<4sI", b"data", len(values)) + values
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data
