"""Thumbnails of pictures, with their measures and perceptual hash."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kft.modalities.image.conversion import to_rgb, turn
from kft.modalities.image.header_record import Header
from kft.modalities.image.headers import FORMATS

if TYPE_CHECKING:
    from PIL import Image

# Side of the measured thumbnail: blur is visible, but noise of single pixels is not.
MEASURED_SIDE = 128
# Side of the hashed thumbnail, as the perceptual hash itself uses.
HASHED_SIDE = 32
# Below this deviation of the grey values a picture is plain, and its hash would be noise.
_LEAST_CONTRAST = 3.0
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of a thumbnail; see `Inspection`."""

    mean_rgb: tuple[float, float, float]
    brightness: float
    contrast: float
    sharpness: float
    border_rgb: tuple[float, float, float]


def make_thumbnail(content: bytes, header: Header, background: str, *, side: int) -> Image.Image:
    """Make an upright, opaque thumbnail of at least `side` pixels, or the original size.

    Decoders raise all kinds of errors if the picture is damaged.
    """
    return shrink(open_small(content, background, side=side), header.orientation, side=side)


def open_small(content: bytes, background: str, *, side: int) -> Image.Image:
    """Open a picture as stored but opaque, at a reduced size if that saves time.

    A JPEG is decoded at a fraction of its size, but at least `side` pixels wide and high, in a
    fraction of the time. Decoders raise all kinds of errors if the picture is damaged.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        picture.draft("RGB", (side, side))
        return Image.fromarray(to_rgb(picture, background))


def shrink(picture: Image.Image, orientation: int, *, side: int) -> Image.Image:
    """Turn a picture upright, and reduce it by whole factors."""
    from PIL import Image

    factor = max(1, min(picture.size) // side)
    # Reduces a picture of 1 x 30,000 too.
    across, along = (max(factor, length // (16 * side)) for length in picture.size)
    if max(across, along) > 1:
        picture = picture.reduce((across, along))
    if orientation == 1:
        return picture
    return Image.fromarray(np.ascontiguousarray(turn(np.asarray(picture), orientation)))


def hash_look(thumbnail: Image.Image) -> int | None:
    """Compute the perceptual hash of 64 bits; None if the picture is too plain.

    Pictures that look the same differ in few bits, regardless of size, format and quality.

    Source: pHash, the signs of the lowest frequencies of a cosine transform, from ImageHash.
    """
    import imagehash

    if np.asarray(thumbnail.convert("L")).std() < _LEAST_CONTRAST:
        return None
    bits = imagehash.phash(thumbnail).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def measure(thumbnail: Image.Image) -> Measures:
    """Measure the colours, contrast and sharpness of a thumbnail."""
    from PIL import Image

    resized = thumbnail.resize((MEASURED_SIDE, MEASURED_SIDE), Image.Resampling.BOX)
    pixels = np.asarray(resized, np.float32)
    grey = pixels @ _GREY
    laplacian = (
        grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    )
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    return Measures(
        mean_rgb=_mean_colour(pixels.reshape(-1, 3)),
        brightness=float(grey.mean()),
        contrast=float(grey.std()),
        sharpness=float(laplacian.var()),
        border_rgb=_mean_colour(border),
    )


def _mean_colour(pixels: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = pixels.mean(axis=0).tolist()
    return red, green, blue
