"""Conversion to PNG of pictures that the decoder in the graph would show wrongly."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.modalities.checked import FindFolder
from kft.modalities.image.deep import read_deep
from kft.modalities.image.header_record import Header
from kft.modalities.image.headers import FORMATS, PNG_END
from kft.modalities.image.samples import DeepPicture, SamplesError, lay_on
from kft.runs.atomic import atomic_file
from kft.runs.caches import cache_folder

if TYPE_CHECKING:
    from PIL import Image

VERSION = 2  # increases with each change of the conversion's result
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")


class ConversionError(Exception):
    """Reason why a picture cannot be converted."""


@dataclass(frozen=True)
class Converted:
    """Upright picture with its intended appearance.

    Attributes:
        pixels: uint8 (height, width, 3), opaque; more than 8 bits are scaled by its own white.
        deep: Samples of a picture of more than 8 bits; None for others.
    """

    pixels: np.ndarray
    deep: DeepPicture | None = None

    @property
    def kept(self) -> np.ndarray:
        """Pixels to write in place of the file: all bits if white is not defined, else 8 bits."""
        if self.deep is None or self.deep.white is not None:
            return self.pixels
        return self.deep.join()


def convert(
    content: bytes,
    header: Header,
    background: str,
    *,
    set_depth: int | None = None,
    known_depth: int | None = None,
) -> Converted:
    """Decode a picture, turn it upright, and lay it on the background.

    Pictures of more than 8 bits are read according to the header of the file.

    Args:
        content: Encoded picture.
        header: Its header, from `read_header`.
        background: `white` or `black`.
        set_depth: Depth in bits of every picture of more than 8, which overrides the white of
            its header; None to use the headers.
        known_depth: Depth in bits of files that do not define white, if already known.

    Raises:
        ConversionError: The picture is damaged, or its kind cannot be shown.
    """
    depth = set_depth or known_depth
    try:
        deep = read_deep(content, header, None if depth is None else 2**depth - 1)
        if deep is None:
            return Converted(_decode_by_pillow(content, header, background))
    except SamplesError as error:
        raise ConversionError(str(error)) from None
    # Decoders raise all kinds of errors on invalid bytes.
    except Exception as error:
        raise ConversionError(f"damaged or cut off: {_describe(error)}") from None
    if deep.colours.shape[:2] != (header.height, header.width):
        raise ConversionError("damaged or cut off: its size differs from its header")
    deep = _turn_deep(deep, header.orientation)
    has_few_bits = deep.white is not None and deep.white < 256
    if set_depth is not None and not has_few_bits:
        deep = replace(deep, white=None)
    pixels = np.ascontiguousarray(deep.show(deep.samples.own_white, background))
    return Converted(pixels, None if has_few_bits else deep)


def _decode_by_pillow(content: bytes, header: Header, background: str) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        picture.load()
        if picture.mode == "F":
            raise SamplesError(
                "its pixels are fractions of an unknown range; convert it to 8 or 16 bits"
            )
        assert not picture.mode.startswith("I"), "deep pictures are read above"
        pixels = to_rgb(picture, background)
    # Pillow itself turns a TIFF upright when it decodes it.
    upright = pixels if header.format == "TIFF" else turn(pixels, header.orientation)
    return np.ascontiguousarray(upright)


def _turn_deep(deep: DeepPicture, orientation: int) -> DeepPicture:
    opacity = None if deep.opacity is None else turn(deep.opacity, orientation)
    return replace(deep, colours=turn(deep.colours, orientation), opacity=opacity)


def to_rgb(picture: Image.Image, background: str) -> np.ndarray:
    """Convert a picture of 8 bits to uint8 (height, width, 3), laid on the background."""
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        values = np.asarray(picture.convert("RGBA"))
        return lay_on(background, values[..., :3], values[..., 3:])
    return np.asarray(picture.convert("RGB"))


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels (height, width, …) upright, by their EXIF orientation."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


def cached_pictures() -> Path:
    """Return the cache folder for converted pictures, which later runs reuse."""
    return cache_folder("converted") / "pictures"


def keep_converted(
    kept: np.ndarray, digest: str, background: str, find_folder: FindFolder, white: str = ""
) -> Path:
    """Write the PNG file of a converted picture unless it exists, and return its path.

    Args:
        kept: uint8 (height, width, 3), or uint16 (height, width, 1 to 4).
        digest: SHA-256 of the file that was converted.
        background: Background of transparent parts.
        find_folder: Returns the folder of the file.
        white: Key of the choice of white, for a file without a defined white.
    """
    path = find_folder() / _find_name(digest, background, white)
    if not _is_whole(path):
        with atomic_file(path) as temporary:
            temporary.write_bytes(_encode(kept))
    return path


def _encode(kept: np.ndarray) -> bytes:
    """Encode as a PNG of 8 or 16 bits with low compression, which is the fastest to read."""
    import tensorflow as tf

    # Pillow writes colours of 8 bits only.
    with tf.device("CPU"):
        encoded: bytes = tf.io.encode_png(kept, compression=1).numpy()
    return encoded


def _find_name(digest: str, background: str, white: str) -> str:
    stated = f"{VERSION}\n{digest}\n{background}\n{white}\n"
    key = hashlib.sha256(stated.encode()).hexdigest()[:32]
    return f"{key[:2]}/{key}.png"


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-len(PNG_END), io.SEEK_END)
            return file.read() == PNG_END
    except OSError:
        return False


def _describe(error: Exception) -> Any:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
