"""Small copies of pictures for a page that needs no other file."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from kft.data.headers import read_header
from kft.data.thumbnails import make_thumbnail

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
        content = Path(path).read_bytes()
        small = make_thumbnail(content, read_header(content), background, side=SIDE)
    # Decoders raise anything, and the file may have changed since the gate saw it.
    except Exception:
        return None
    small.thumbnail((SIDE, SIDE))
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"
