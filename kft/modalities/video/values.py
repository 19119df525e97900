"""Videos in memory, arrays of frames, as files of frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from kft.modalities.checked import UnusableError
from kft.modalities.video.frame_file import FrameFile
from kft.modalities.video.keeping import encode_picture

_ALLOWED = (
    "Allowed: frames of a video, uint8 of shape (frames, height, width, 3), or of a batch of "
    "videos, (videos, frames, height, width, 3)"
)


def encode_videos(value: Any) -> tuple[bytes, ...] | None:
    """Encode an array of frames as files of PNG frames; None for anything else.

    Args:
        value: One video, or a batch.

    Raises:
        UnusableError: The array has another type or shape.
    """
    if not isinstance(value, np.ndarray) or value.dtype == object:
        return None
    if value.dtype != np.uint8 or value.ndim not in (4, 5) or value.shape[-1] != 3:
        raise UnusableError(f"found {value.dtype} of shape {value.shape}. {_ALLOWED}")
    return tuple(map(pack_exactly, value[np.newaxis] if value.ndim == 4 else value))


def pack_exactly(frames: Iterable[np.ndarray]) -> bytes:
    """Make a file of frames uint8 (height, width, 3 or 1), without loss."""
    pictures = (Image.fromarray(np.squeeze(each)).convert("RGB") for each in frames)
    return FrameFile([encode_picture(each, is_exact=True) for each in pictures]).pack()
