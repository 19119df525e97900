"""A few frames of a video side by side, for a page that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from kft.modalities.showing import ViewRow
from kft.modalities.video.input_spec import CLIP

# Frames of a preview: two rows of two show what moves, and stay large enough to see it.
_ACROSS = _DOWN = 2
# Frames of a clip in a drawing of views, side by side.
_SHOWN = 4


def make_data_uri(path: str, side: int) -> str | None:
    """Draw four frames of a video as a data URI; None if it can no longer be read.

    Args:
        path: Path of a file that passed the file check.
        side: Width in pixels.
    """
    from kft.modalities.video.decoding import VideoDecoder

    decoder = VideoDecoder(_ACROSS * _DOWN, side // _DOWN, side // _ACROSS, resize="pad")
    try:
        frames = decoder(Path(path).read_bytes())[CLIP].numpy()
    # The file may have changed since the gate saw it.
    except Exception:
        return None
    rows = [np.concatenate(frames[i : i + _ACROSS], axis=1) for i in (0, _ACROSS)]
    encoded = io.BytesIO()
    Image.fromarray(np.concatenate(rows, axis=0)).save(encoded, "JPEG", quality=70)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def draw_views(rows: Sequence[ViewRow], caption: str) -> bytes:
    """Draw a PNG with frames of clips and of their views.

    Args:
        rows: At least one row, all with the same number of views.
        caption: Text above the rows.
    """
    from kft.modalities.image.gallery import draw_gallery
    from kft.modalities.image.input_spec import PIXELS

    drawn = [
        replace(row, views=tuple({PIXELS: _join(view[CLIP])} for view in row.views)) for row in rows
    ]
    return draw_gallery(drawn, caption=caption)


def _join(clip: np.ndarray) -> np.ndarray:
    """Frames of a clip (frames, height, width, 3), side by side."""
    chosen = np.linspace(0, len(clip) - 1, min(len(clip), _SHOWN)).round().astype(int)
    return np.concatenate(clip[chosen], axis=1)
