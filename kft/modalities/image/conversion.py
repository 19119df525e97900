"""Pictures that the graph cannot show as they are meant: converted once, to plain PNG files."""

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

VERSION = 2  # counts changes of what a conversion gives
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")


class ConversionError(Exception):
    """Why a picture cannot be converted."""


@dataclass(frozen=True)
class Converted:
    """A picture as it is meant, upright.

    Attributes:
        pixels: uint8 (height, width, 3), opaque; of more than 8 bits by its own white.
        deep: Its samples, of a picture of more than 8 bits; else None.
    """

    pixels: np.ndarray
    deep: DeepPicture | None = None

    @property
    def kept(self) -> np.ndarray:
        """What is written in place of the file: of more than 8 bits all, where white is open."""
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
    """Decode a picture: turned upright and laid on the background.

    Of more than 8 bits are read as the header of the file means them.

    Args:
        content: The encoded picture.
        header: What `read_header` says of it.
        background: `white` or `black`.
        set_depth: Bits that hold for every picture of more than 8, whatever its header says of
            white; None to go by the headers.
        known_depth: Bits of files that say nothing of white, where that is known already.

    Raises:
        ConversionError: It is damaged, or of a kind that has no colours to show.
    """
    depth = set_depth or known_depth
    try:
        deep = read_deep(content, header, None if depth is None else 2**depth - 1)
        if deep is None:
            return Converted(_decode_by_pillow(content, header, background))
    except SamplesError as error:
        raise ConversionError(str(error)) from None
    # Decoders raise anything on bytes that nobody meant for them.
    except Exception as error:
        raise ConversionError(f"damaged or cut off: {_describe(error)}") from None
    if deep.colours.shape[:2] != (header.height, header.width):
        raise ConversionError("damaged or cut off: its size is not that of its header")
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
                "its pixels are fractions, whose range nobody states; convert it to 8 or 16 bits"
            )
        assert not picture.mode.startswith("I"), "deep pictures are read above"
        pixels = to_rgb(picture, background)
    # Pillow turns a TIFF while it decodes it.
    upright = pixels if header.format == "TIFF" else turn(pixels, header.orientation)
    return np.ascontiguousarray(upright)


def _turn_deep(deep: DeepPicture, orientation: int) -> DeepPicture:
    opacity = None if deep.opacity is None else turn(deep.opacity, orientation)
    return replace(deep, colours=turn(deep.colours, orientation), opacity=opacity)


def to_rgb(picture: Image.Image, background: str) -> np.ndarray:
    """The pixels of a picture of 8 bits: uint8 (height, width, 3), laid on the background."""
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        values = np.asarray(picture.convert("RGBA"))
        return lay_on(background, values[..., :3], values[..., 3:])
    return np.asarray(picture.convert("RGB"))


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (height, width, …) as stored -> upright, by EXIF's orientation."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


def cached_pictures() -> Path:
    """The folder of the cache for converted pictures, for runs that come back to them."""
    return cache_folder("converted") / "pictures"


def keep_converted(
    kept: np.ndarray, digest: str, background: str, find_folder: FindFolder, white: str = ""
) -> Path:
    """The PNG file of a converted picture, written unless it is there.

    Args:
        kept: uint8 (height, width, 3), or uint16 (height, width, 1 to 4).
        digest: SHA-256 of the file that was converted.
        background: What was behind it.
        find_folder: Gives the folder that it lies in.
        white: How white was found, where the same file may be read in several ways.
    """
    path = find_folder() / _find_name(digest, background, white)
    if not _is_whole(path):
        with atomic_file(path) as temporary:
            temporary.write_bytes(_encode(kept))
    return path


def _encode(kept: np.ndarray) -> bytes:
    """A PNG of 8 or 16 bits, in the fastest way: these files are read more often than kept."""
    import tensorflow as tf

    # Not Pillow, which writes colours of 8 bits alone.
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
