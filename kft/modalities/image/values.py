"""Pictures in memory, arrays and PIL pictures, as files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from kft.modalities.checked import UnusableError

# PNG preserves these modes; others become RGB.
_KEPT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")


def encode_pictures(value: Any) -> tuple[bytes, ...] | None:
    """Encode one picture or a batch as PNG files, which are lossless; None for anything else.

    Args:
        value: PIL picture, or uint8 RGB (height, width, 3) or (pictures, height, width, 3).

    Raises:
        UnusableError: The array has another type or shape.
    """
    if isinstance(value, Image.Image):
        upright = ImageOps.exif_transpose(value)
        return (_encode(upright if upright.mode in _KEPT_MODES else upright.convert("RGB")),)
    if not isinstance(value, np.ndarray) or value.dtype == object:
        return None
    is_rgb = value.dtype == np.uint8 and value.ndim in (3, 4) and value.shape[-1] == 3
    if not is_rgb or not value.size:
        raise UnusableError(
            f"found an array {value.dtype} of shape {value.shape}. Allowed: uint8 RGB of shape "
            "(height, width, 3) or (pictures, height, width, 3), with values 0 to 255"
        )
    pictures = value[np.newaxis] if value.ndim == 3 else value
    return tuple(_encode(Image.fromarray(pixels)) for pixels in pictures)


def _encode(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
