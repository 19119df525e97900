"""Conversion of pictures in Python to files for prediction."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps

from kft.errors import DataError

Picture: TypeAlias = "str | os.PathLike[str] | np.ndarray | Image.Image"
"""A file, folder or pattern, uint8 RGB (height, width, 3) or a batch of it, or a PIL picture."""
# PNG preserves these modes; others become RGB.
_KEPT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")


@contextmanager
def as_files(
    pictures: Picture | Iterable[Picture],
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Give paths, and names for the temporary files among them, while the block runs.

    Arrays and PIL pictures become PNG files, which are lossless, so that they pass the same
    checks and the same decoder as training files.

    Args:
        pictures: One or several pictures.

    Raises:
        DataError: An item is not a picture.
    """
    is_one = isinstance(pictures, str | os.PathLike | Image.Image | np.ndarray)
    items = [pictures] if is_one else list(pictures)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="kft-pictures-") as folder:
        files: list[str] = []
        names: dict[str, str] = {}
        for place, item in enumerate(items):
            if isinstance(item, str | os.PathLike):
                files.append(os.fspath(item))
                continue
            for picture, name in _read(item, f"picture {place}"):
                files.append(str(Path(folder) / f"{len(files)}.png"))
                picture.save(files[-1], compress_level=1)
                names[files[-1]] = name
        yield files, names


def _read(item: object, name: str) -> Iterator[tuple[Image.Image, str]]:
    """Convert an item to its pictures, each with a name."""
    if isinstance(item, Image.Image):
        upright = ImageOps.exif_transpose(item)
        yield (upright if upright.mode in _KEPT_MODES else upright.convert("RGB")), name
        return
    if not isinstance(item, np.ndarray):
        raise DataError(
            f"{name}: found a {type(item).__name__}. Allowed: the path of a file or folder, a "
            "PIL picture, a NumPy array uint8 of shape (height, width, 3), or a batch of these."
        )
    if item.dtype != np.uint8 or item.ndim not in (3, 4) or item.shape[-1] != 3 or not item.size:
        raise DataError(
            f"{name}: found an array {item.dtype} of shape {item.shape}. Allowed: uint8 RGB of "
            "shape (height, width, 3) or (pictures, height, width, 3), with values 0 to 255."
        )
    if item.ndim == 3:
        yield Image.fromarray(item), name
        return
    for number, pixels in enumerate(item):
        yield Image.fromarray(pixels), f"{name}, {number}"
