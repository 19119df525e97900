"""Small copies of pictures for a page that needs no other file."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from kft.modalities.image.conversion import convert
from kft.modalities.image.exif import UPRIGHT
from kft.modalities.image.headers import read_header
from kft.modalities.image.thumbnails import make_thumbnail, shrink

_QUALITY = 70


def make_data_uri(path: str, background: str, depth: int | None = None, *, side: int) -> str | None:
    """A picture, upright and small, as a data URI; None where it cannot be read now.

    Args:
        path: Of a picture that the gate has let through.
        background: What is behind it where it is transparent.
        depth: Bits at which a picture of more than 8 is shown; None for its own.
        side: Pixels of the longer side.
    """
    try:
        small = _make_small(Path(path).read_bytes(), background, depth, side)
    # Decoders raise anything, and the file may have changed since the gate saw it.
    except Exception:
        return None
    small.thumbnail((side, side))
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def _make_small(content: bytes, background: str, depth: int | None, side: int) -> Image.Image:
    header = read_header(content)
    if header.looks_whole:
        return make_thumbnail(content, header, background, side=side)
    # Pillow would cut 16 bits to the highest 8.
    meant = convert(content, header, background)
    pixels = meant.pixels
    if meant.deep is not None and depth is not None:
        pixels = meant.deep.show(2**depth - 1, background)
    return shrink(Image.fromarray(pixels), UPRIGHT, side=side)
