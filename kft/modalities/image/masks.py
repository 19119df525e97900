"""Check of masks: each becomes a PNG whose bytes are class indices, and `VOID` where none is known.

A mask has the size of its upright picture, as people see it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.config import MasksConfig
from kft.config.mask_section import NO_CLASS
from kft.modalities.checked import (
    CheckedTarget,
    CheckOptions,
    FileContent,
    FindFolder,
    UnusableError,
)
from kft.modalities.image.inspection import CheckedPicture
from kft.printing import listed, readable
from kft.runs.atomic import atomic_file
from kft.runs.caches import cache_folder
from kft.tasks.base import VOID

if TYPE_CHECKING:
    from PIL import Image

VERSION = 1  # increases with each change of the conversion's result
# Formats that keep every value. JPEG and WebP blend those of neighbours, and programs that write
# GIF number the colours anew.
_FORMATS = ("PNG", "BMP", "TIFF", "PPM")
# Unknown values that a message names.
_NAMED = 5


@dataclass(frozen=True)
class _Values:
    """Values of a mask before they are given their meaning.

    Attributes:
        values: Any whole numbers (height, width); colours are 65536 R + 256 G + B.
        is_coloured: Whether they are colours.
        is_as_stored: Whether the file is a PNG of 8 bits that holds these values.
    """

    values: np.ndarray
    is_coloured: bool = False
    is_as_stored: bool = False


def check_mask(
    file: FileContent, checked: CheckedPicture, settings: MasksConfig, options: CheckOptions
) -> CheckedTarget:
    """Check the mask of a picture, and convert it if its bytes are not class indices.

    Args:
        file: Content of the mask.
        checked: The picture.
        settings: The `data.masks` section.
        options: Names of the classes, and the folder for converted copies.

    Raises:
        UnusableError: The mask cannot be used; the reason names its file.
    """
    try:
        values = _read(file.content, checked)
        indices = _find_indices(values, settings, options.target_names)
    except UnusableError as reason:
        raise UnusableError(f"its mask {readable(file.path)}: {reason}") from None
    counts = np.bincount(indices.ravel(), minlength=VOID + 1)[: len(options.target_names)]
    path, size, changed_ns = file.path, file.size, file.changed_ns
    if not (values.is_as_stored and np.array_equal(indices, values.values)):
        meaning = f"{settings!r} {options.target_names!r}"
        kept = _keep(indices, file.digest, meaning, options.find_folder or cached_masks)
        status = kept.stat()
        path, size, changed_ns = str(kept), status.st_size, status.st_mtime_ns
    return CheckedTarget(path, file.digest, size, changed_ns, counts.astype(np.int64))


def cached_masks() -> Path:
    """Return the cache folder for converted masks, which later runs reuse."""
    return cache_folder("converted") / "masks"


def _read(content: bytes, checked: CheckedPicture) -> _Values:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as mask:
            if mask.format not in _FORMATS:
                raise UnusableError(
                    f"it is a {mask.format}, which does not keep every value. Save masks as PNG"
                )
            _refuse_other_size(mask.size, checked)
            if (count := getattr(mask, "n_frames", 1)) > 1:
                raise UnusableError(f"it holds {count} pictures; a mask is one")
            mask.load()
            return _take_values(mask, content)
    except UnidentifiedImageError:
        raise UnusableError("it is not a picture. Masks are PNG files") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UnusableError(f"damaged or cut off: {str(error)[:200]}") from None


def _refuse_other_size(size: tuple[int, int], checked: CheckedPicture) -> None:
    if size == checked.shown_size:
        return
    (width, height), (other, another) = size, checked.shown_size
    hint = ""
    if size == checked.shown_size[::-1] and checked.orientation > 1:
        hint = ". The picture is turned by its EXIF entry, and a mask is that of the upright one"
    raise UnusableError(f"it has {width} x {height} pixels, the picture {other} x {another}{hint}")


def _take_values(mask: Image.Image, content: bytes) -> _Values:
    is_png = mask.format == "PNG"
    if mask.mode in ("L", "P", "1"):
        # A palette holds colours for people; the values are the classes.
        values = np.asarray(mask).astype(np.uint8)
        bits = content[24] if is_png else 8
        if mask.mode == "L" and bits < 8:
            values //= 255 // (2**bits - 1)  # Pillow stretches few grey values to 255
        return _Values(values, is_as_stored=is_png and mask.mode == "L" and bits == 8)
    if mask.mode.startswith("I"):
        return _Values(np.asarray(mask).astype(np.int64))
    if mask.mode in ("RGB", "RGBA"):
        samples = np.asarray(mask).astype(np.int64)
        if mask.mode == "RGBA" and (samples[..., 3] < 255).any():
            raise UnusableError("it is transparent in places, which has no meaning in a mask")
        red, green, blue = (samples[..., i] for i in range(3))
        return _Values(red * 65536 + green * 256 + blue, is_coloured=True)
    raise UnusableError(f"its pixels are of mode {mask.mode}. Save masks as PNG of 8 bits")


def _find_indices(mask: _Values, settings: MasksConfig, names: tuple[str, ...]) -> np.ndarray:
    """Find the class of each pixel, uint8; `VOID` where there is none."""
    if settings.colours:
        values = mask.values if mask.is_coloured else mask.values.astype(np.int64) * 0x010101
        return _look_up(values, _read_colours(settings.colours, names), _as_colour)
    values = mask.values
    if mask.is_coloured:
        grey = values // 65536
        if not np.array_equal(grey * 0x010101, values):
            raise UnusableError(
                "it is coloured. Say which colour each class has: "
                "data.masks.colours={road: '#804080'}"
            )
        values = grey
    if settings.binary:
        return (values > 0).astype(np.uint8)
    table = {index: index for index in range(len(names))}
    return _look_up(values, {VOID: VOID, **table, settings.void: VOID}, str)


def _read_colours(colours: Mapping[str, str], names: tuple[str, ...]) -> dict[int, int]:
    places = {name: index for index, name in enumerate(names)} | {NO_CLASS: VOID}
    return {int(colour[1:], 16): places[name] for name, colour in colours.items()}


def _look_up(values: np.ndarray, table: Mapping[int, int], write: Any) -> np.ndarray:
    """Replace values by those of a table.

    Raises:
        UnusableError: The table lacks some of the values; it names them.
    """
    present, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    unknown = [
        f"{write(int(value))} in {count:,} pixels"
        for value, count in zip(present.tolist(), counts.tolist(), strict=True)
        if value not in table
    ]
    if unknown:
        known = [write(value) for value in table]
        raise UnusableError(
            f"it holds {listed(unknown, _NAMED)}, which is no class. Known: {listed(known, 12)}. "
            "See data.masks"
        )
    found = np.array([table[value] for value in present.tolist()], np.uint8)
    return found[codes].reshape(values.shape)


def _as_colour(value: int) -> str:
    return f"#{value:06x}"


def _keep(indices: np.ndarray, digest: str, meaning: str, find_folder: FindFolder) -> Path:
    """Write a converted mask, named by the digests of file and settings, unless it exists."""
    from PIL import Image

    stated = f"{VERSION}\n{digest}\n{meaning}\n"
    key = hashlib.sha256(stated.encode()).hexdigest()[:32]
    path = find_folder() / f"{key[:2]}/{key}.png"
    if not path.is_file():
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            Image.fromarray(indices).save(file, format="PNG", compress_level=1)
    return path
