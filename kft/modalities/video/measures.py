"""Measures of the frames of a video, and a fingerprint of what it shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

# Pixels of the small grey copies of frames, across and down.
SIDE = 16
# Where no part changes by so many shades nothing moves: rounding alone changes one.
_STILL = 1.5
# A frame below these is black: studio black is 16, and noise of a covered camera stays within 6.
_BLACK_MEAN, _BLACK_DEVIATION = 20.0, 6.0
# Shades by which a part must be brighter than its neighbour; compression changes less.
_CLEAR = 2.0
_ROWS = _COLUMNS = 4
# Fewer set bits are shared by too many videos.
_FEWEST_BITS = 8


def make_thumbnail(frame: Image.Image) -> np.ndarray:
    """Shrink a frame to a small grey copy: uint8 (SIDE, SIDE)."""
    return np.asarray(frame.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of the frames, for `Inspection`."""

    brightness: float
    motion: float
    frozen_share: float
    black_share: float


def measure(thumbnails: np.ndarray) -> Measures:
    """Brightness, motion, and shares of frozen and black frames.

    Args:
        thumbnails: Small grey copies of the frames, uint8 (frames, SIDE, SIDE), at least two.
    """
    thumbnails = thumbnails.astype(np.float32)
    changes = np.abs(np.diff(thumbnails, axis=0))
    is_dark = thumbnails.mean(axis=(1, 2)) < _BLACK_MEAN
    return Measures(
        brightness=float(thumbnails.mean()),
        motion=float(changes.mean()),
        frozen_share=float((changes.max(axis=(1, 2)) < _STILL).mean()),
        black_share=float((is_dark & (thumbnails.std(axis=(1, 2)) < _BLACK_DEVIATION)).mean()),
    )


def is_blank(thumbnails: np.ndarray) -> bool:
    """Tell whether every frame is the same plain colour."""
    return int(np.ptp(thumbnails)) < _CLEAR


def fingerprint(thumbnails: np.ndarray) -> int | None:
    """Perceptual hash of 64 bits; None where a video is too plain for one.

    Videos that show the same differ in few bits, whatever their format, size and frame rate.
    Half of the bits tell which parts of the mean frame are brighter than their neighbour to the
    right and below, the other half which parts grow brighter from one third of the video to the
    next. So what moves in two ways before one camera is not taken for the same.

    Args:
        thumbnails: See `measure`.
    """
    thumbnails = thumbnails.astype(np.float32)
    mean = thumbnails.mean(axis=0)
    thirds = np.stack([each.mean(axis=0) for each in np.array_split(thumbnails, 3) if len(each)])
    right = np.diff(_average(mean, _ROWS, _COLUMNS + 1), axis=1)
    down = np.diff(_average(mean, _ROWS + 1, _COLUMNS), axis=0)
    grid = np.stack([_average(each, _ROWS, _COLUMNS) for each in thirds])
    later = np.zeros((2, _ROWS, _COLUMNS), np.float32)
    later[: len(grid) - 1] = np.diff(grid, axis=0)
    bits = np.concatenate([part.ravel() > _CLEAR for part in (right, down, later)])
    if bits.sum() < _FEWEST_BITS:
        return None
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _average(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Mean of the parts of a picture: (rows, columns)."""
    small = Image.fromarray(picture).resize((columns, rows), Image.Resampling.BOX)
    return np.asarray(small)
