"""A spectrogram or waveform with what an answer depends on."""

from __future__ import annotations

import numpy as np

from kft.modalities.overlays import colour_over, encode_overlay, scale_values

# Columns and rows of a drawn waveform.
_COLUMNS, _ROWS = 224, 96
# Brightness of paper and of a waveform.
_PAPER, _WAVE = 255.0, 90.0


def draw_over_spectrogram(shown: np.ndarray, values: np.ndarray) -> bytes:
    """Draw a spectrogram with values over it: PNG, time to the right, low frequencies below.

    Args:
        shown: Spectrogram (frames, bands, channels).
        values: Value of each cell (frames, bands).
    """
    levels = shown.mean(axis=-1)
    low, high = float(levels.min()), float(levels.max())
    grey = 255.0 * (1.0 - (levels - low) / (high - low or 1.0))
    return encode_overlay(colour_over(_upright(grey), _upright(scale_values(values))))


def _upright(cells: np.ndarray) -> np.ndarray:
    return cells.T[::-1]


def draw_over_waveform(samples: np.ndarray, values: np.ndarray) -> bytes:
    """Draw a waveform on the colours of its values: PNG.

    Args:
        samples: Samples (samples,).
        values: Value of each sample (samples,).
    """
    edges = np.linspace(0, len(samples), min(_COLUMNS, len(samples)) + 1).astype(int)
    summed = np.add.reduceat(values, edges[:-1])
    peaks = np.maximum.reduceat(np.abs(samples), edges[:-1]) / (np.abs(samples).max() or 1.0)
    heights = np.abs(np.linspace(-1, 1, _ROWS))[:, np.newaxis]
    grey = np.where(heights <= peaks, _WAVE, _PAPER)
    coloured = np.broadcast_to(scale_values(summed), grey.shape)
    return encode_overlay(colour_over(grey, coloured))
