"""Small copies of pictures for a self-contained page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from kft.modalities.image.conversion import convert
from kft.modalities.image.drawing import lay_over, outline
from kft.modalities.image.exif import UPRIGHT
from kft.modalities.image.headers import read_header
from kft.modalities.image.thumbnails import make_thumbnail, shrink

_QUALITY = 70


def make_data_uri(
    path: str,
    background: str,
    depth: int | None = None,
    *,
    side: int,
    target: str | np.ndarray | None = None,
) -> str | None:
    """Encode a picture, upright and small, as a data URI; None if it can no longer be read.

    Args:
        path: Path of a picture that passed the file check.
        background: Background of transparent parts.
        depth: Depth in bits at which to show a picture of more than 8; None for its own.
        side: Pixels of the longer side.
        target: Path of a mask to lay over it, or boxes to outline in it.
    """
    try:
        small = _make_small(Path(path).read_bytes(), background, depth, side)
        small.thumbnail((side, side))
        if isinstance(target, str):
            small = _lay_mask(small, target)
        elif target is not None:
            small = small.convert("RGB")
            outline(small, target)
    # Decoders raise all kinds of errors, and the file may have changed since its check.
    except Exception:
        return None
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def _lay_mask(small: Image.Image, path: str) -> Image.Image:
    with Image.open(path) as mask:
        classes = np.asarray(mask.resize(small.size, Image.Resampling.NEAREST))
    return Image.fromarray(lay_over(np.asarray(small.convert("RGB")), classes))


def _make_small(content: bytes, background: str, depth: int | None, side: int) -> Image.Image:
    header = read_header(content)
    if header.looks_whole:
        return make_thumbnail(content, header, background, side=side)
    # Pillow would keep only the highest 8 of 16 bits.
    meant = convert(content, header, background)
    pixels = meant.pixels
    if meant.deep is not None and depth is not None:
        pixels = meant.deep.show(2**depth - 1, background)
    return shrink(Image.fromarray(pixels), UPRIGHT, side=side)
