"""Measures of the samples of a recording, and a fingerprint of its sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Below, a recording is silent: a sixteenth of the last of 16 bits.
SILENT_PEAK = 2e-6
_FULL_SCALE = 0.98
_QUIET_DECIBELS = 40.0
# Seconds of the parts whose level is compared.
_PART = 0.05
# The fingerprint compares bands of the range that every recording and telephone has.
_LOWEST_HERTZ, _HIGHEST_HERTZ = 200.0, 3600.0
_BANDS = _PARTS = 9
_FRAME_SECONDS = 0.032
# Noise decides which of two bands is louder where both are so much softer than the loudest.
_FLOOR = 1e-3
# Frames of a block, so that a recording of hours takes no more memory than one of a minute.
_BLOCK = 2048
# Shorter recordings are too much alike.
_SHORTEST_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of the samples, for `Inspection`."""

    peak: float
    loudness: float
    quiet_share: float
    clipped_share: float
    bandwidth: float


def measure(samples: np.ndarray, rate: int) -> Measures:
    """Level, quiet and clipped shares, and bandwidth.

    Args:
        samples: float32 (samples,), at least one.
        rate: Samples per second.
    """
    size = np.abs(samples)
    peak = float(size.max())
    is_top = size >= 0.999 * peak if peak >= _FULL_SCALE else np.zeros(len(size), bool)
    is_clipped = is_top[1:] & is_top[:-1]
    return Measures(
        peak=peak,
        loudness=float(10 * np.log10(np.square(samples, dtype=np.float64).mean() + 1e-12)),
        quiet_share=_measure_quiet(samples, rate),
        clipped_share=float(is_clipped.mean()) if len(is_clipped) else 0.0,
        bandwidth=_measure_bandwidth(samples, rate),
    )


def _measure_quiet(samples: np.ndarray, rate: int) -> float:
    part = max(1, round(_PART * rate))
    num_parts = max(1, len(samples) // part)
    parts = samples[: num_parts * part].reshape(num_parts, -1)
    levels = 10 * np.log10(np.square(parts, dtype=np.float64).mean(axis=1) + 1e-12)
    return float((levels < levels.max() - _QUIET_DECIBELS).mean())


def _measure_bandwidth(samples: np.ndarray, rate: int) -> float:
    energy = sum(block.sum(axis=0) for block in _iterate_energies(samples, 1024, overlap=2))
    total = np.cumsum(energy)
    place = int(np.searchsorted(total, 0.999 * total[-1]))
    return place / (len(energy) - 1) * rate / 2


def _iterate_energies(samples: np.ndarray, length: int, *, overlap: int) -> Iterator[np.ndarray]:
    """Energy of each frequency, in blocks of frames: (frames, length / 2 + 1).

    Args:
        samples: float32 (samples,).
        length: Samples of a frame.
        overlap: Frames that begin within a length.
    """
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[:: length // overlap]
    window = np.hanning(length).astype(np.float32)
    for first in range(0, len(frames), _BLOCK):
        yield np.square(np.abs(np.fft.rfft(frames[first : first + _BLOCK] * window, axis=1)))


def fingerprint(samples: np.ndarray, rate: int) -> int | None:
    """Perceptual hash of 64 bits; None where the recording is too short or silent for one.

    Recordings that sound the same differ in few bits, whatever their format, rate and level: a
    bit tells in which of two neighbouring bands the energy grows more from one ninth of the
    recording to the next.

    Source: Haitsma and Kalker, A Highly Robust Audio Fingerprinting System, ISMIR 2002, whose
    frames are of fixed length.

    Args:
        samples: float32 (samples,).
        rate: Samples per second.
    """
    if len(samples) < _SHORTEST_SECONDS * rate or np.abs(samples).max() <= SILENT_PEAK:
        return None
    length = 2 ** int(np.ceil(np.log2(_FRAME_SECONDS * rate)))
    edges = np.geomspace(_LOWEST_HERTZ, min(_HIGHEST_HERTZ, 0.45 * rate), _BANDS + 1)
    bands = _share(edges / rate * length + 0.5, length // 2 + 1)
    levels = np.concatenate(
        [block @ bands.T for block in _iterate_energies(samples, length, overlap=4)]
    )
    levels = _share(np.linspace(0, len(levels), _PARTS + 1), len(levels)) @ levels
    levels = np.log(levels + _FLOOR * levels.max())
    bits = np.diff(np.diff(levels, axis=1), axis=0) > 0
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _share(edges: np.ndarray, size: int) -> np.ndarray:
    """Share of each cell of width 1 that lies between two edges: (edges - 1, size)."""
    cells = np.arange(size)
    ends = np.minimum(edges[1:, np.newaxis], cells + 1)
    return np.clip(ends - np.maximum(edges[:-1, np.newaxis], cells), 0.0, None)
