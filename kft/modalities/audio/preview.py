"""A small spectrogram of a recording, for a page that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kft.modalities.audio.input_spec import WAVEFORM
from kft.modalities.showing import ViewRow

# Pixels: one column for each part of the recording, one row for each band.
WIDTH, HEIGHT = 104, 64
_LOWEST_HERTZ = 60.0
# Samples per second of waveforms as backbones read them.
_DRAWN_RATE = 16_000
# Decibels from the loudest part that are still shown.
_RANGE = 60.0


def make_data_uri(path: str, side: int) -> str | None:
    """Draw the spectrogram of a WAV file as a data URI; None if it can no longer be read.

    Args:
        path: Path of a file that passed the file check.
        side: Width in pixels.
    """
    from PIL import Image

    from kft.modalities.audio.file_check import decode_wav
    from kft.modalities.audio.wav_header import read_wav_header

    try:
        content = Path(path).read_bytes()
        samples, rate = decode_wav(content), read_wav_header(content).rate
    # The file may have changed since the gate saw it.
    except Exception:
        return None
    encoded = io.BytesIO()
    picture = Image.fromarray(draw_spectrogram(samples, rate))
    picture.resize((side, side * HEIGHT // WIDTH)).save(encoded, "PNG")
    return f"data:image/png;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def draw_spectrogram(samples: np.ndarray, rate: int) -> np.ndarray:
    """Draw a recording, dark where it is loud: uint8 (HEIGHT, WIDTH), low frequencies below.

    Args:
        samples: float (samples,).
        rate: Samples per second.
    """
    length = 2 ** int(np.ceil(np.log2(0.032 * rate)))
    starts = np.linspace(0, max(0, len(samples) - length), WIDTH).astype(int)
    padded = np.pad(samples, (0, max(0, length - len(samples))))
    frames = padded[starts[:, np.newaxis] + np.arange(length)] * np.hanning(length)
    magnitudes = np.abs(np.fft.rfft(frames, axis=1))
    edges = np.geomspace(_LOWEST_HERTZ, rate / 2, HEIGHT) / (rate / 2) * (magnitudes.shape[1] - 1)
    levels = 20 * np.log10(magnitudes[:, np.round(edges).astype(int)] + 1e-9)
    shown = np.clip((levels - levels.max()) / _RANGE + 1.0, 0.0, 1.0)
    picture: np.ndarray = np.round(255.0 * (1.0 - shown)).astype(np.uint8).T[::-1]
    return picture


def draw_views(rows: Sequence[ViewRow], caption: str) -> bytes:
    """Draw a PNG with the spectrograms of recordings and of their views.

    Args:
        rows: At least one row, all with the same number of views.
        caption: Text above the rows.
    """
    from kft.modalities.image.gallery import draw_gallery
    from kft.modalities.image.input_spec import PIXELS

    drawn = [
        replace(row, views=tuple({PIXELS: _draw_colours(view[WAVEFORM])} for view in row.views))
        for row in rows
    ]
    return draw_gallery(drawn, caption=caption)


def _draw_colours(waveform: np.ndarray) -> np.ndarray:
    return np.repeat(draw_spectrogram(waveform, _DRAWN_RATE)[..., np.newaxis], 3, axis=-1)
