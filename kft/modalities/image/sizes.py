"""Size of a picture by its header, as it is shown."""

from __future__ import annotations

import warnings

from PIL import Image

from kft.modalities.image import exif
from kft.modalities.image.headers import FORMATS

# Orientations from this one on swap width and height.
_FIRST_SWAPPED = 5


def find_upright_size(path: str) -> tuple[float, float] | None:
    """Find width and height in pixels, upright; None if the header cannot be read."""
    try:
        with warnings.catch_warnings():
            # The file check says what is wrong with a file.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                width, height = picture.size
                block = picture.info.get("exif", b"")
    # Decoders raise all kinds of errors on invalid bytes.
    except Exception:
        return None
    orientation = exif.read_orientation(block.removeprefix(exif.MARK))
    is_swapped = orientation >= _FIRST_SWAPPED
    return (float(height), float(width)) if is_swapped else (float(width), float(height))
