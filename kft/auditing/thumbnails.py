"""Small copies of pictures for a page that needs no other file."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from kft.data.gate.conversion import convert
from kft.data.gate.headers import read_header
from kft.data.gate.thumbnails import make_thumbnail, shrink
from kft.data.input.exif import UPRIGHT

# Pixels of the longer side: a page of a thousand of them stays at a few megabytes.
SIDE = 104
_QUALITY = 70


def make_data_uri(path: str, background: str) -> str | None:
    """A picture, upright and small, as a data URI; None where it cannot be read now.

    Args:
        path: Of a picture that the gate has let through.
        background: What is behind it where it is transparent.
    """
    try:
        small = _make_small(Path(path).read_bytes(), background)
    # Decoders raise anything, and the file may have changed since the gate saw it.
    except Exception:
        return None
    small.thumbnail((SIDE, SIDE))
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def _make_small(content: bytes, background: str) -> Image.Image:
    header = read_header(content)
    if not header.mode.startswith("I"):
        return make_thumbnail(content, header, background, side=SIDE)
    # 16 bits of grey: Pillow would cut off what is above 255.
    pixels = convert(content, header, background).pixels
    return shrink(Image.fromarray(pixels), UPRIGHT, side=SIDE)
