"""Pictures that the graph cannot show as they are meant: converted once, to plain RGB files."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.data.gate.headers import FORMATS, PNG_END, Header
from kft.data.input.background import BACKGROUND_VALUES
from kft.runs.atomic import atomic_file
from kft.runs.caches import cache_folder

if TYPE_CHECKING:
    from PIL import Image

VERSION = 1  # counts changes of what a conversion gives
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
# Bits of the sensors and files that there are: values below 4096 are of 12 bits, not of 16.
_DEPTHS = (8, 10, 12, 14, 16)


class ConversionError(Exception):
    """Why a picture cannot be converted."""


@dataclass(frozen=True)
class Converted:
    """A picture as it is meant.

    Attributes:
        pixels: uint8 (height, width, 3), upright and opaque.
        bits: Which its values use, of a picture with 16 bits; else None.
    """

    pixels: np.ndarray
    bits: int | None = None


def convert(content: bytes, header: Header, background: str) -> Converted:
    """Decode a picture by Pillow: turned upright, laid on the background, 8 bits.

    Pictures of 16 bits keep the 8 highest of those that their values use, of 8, 10, 12, 14
    or 16: an X-ray of 12 bits would be all black otherwise.

    Args:
        content: The encoded picture.
        header: What `read_header` says of it.
        background: `white` or `black`.

    Raises:
        ConversionError: It is damaged, or of a kind that has no colours to show.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            picture.load()
            deep = _read_deep(content, header, picture)
            if deep is None:
                pixels, bits = to_rgb(picture, background), None
            else:
                pixels, bits = _to_8_bits(deep, background)
    except ConversionError:
        raise
    # Decoders raise anything on bytes that nobody meant for them.
    except Exception as error:
        raise ConversionError(f"damaged or cut off: {_describe(error)}") from None
    # Pillow turns a TIFF while it decodes it.
    upright = pixels if header.format == "TIFF" else turn(pixels, header.orientation)
    return Converted(np.ascontiguousarray(upright), bits)


def _read_deep(content: bytes, header: Header, picture: Image.Image) -> np.ndarray | None:
    """uint16 (height, width, channels) of a picture of more than 8 bits; else None."""
    if header.format == "PNG" and content[24] == 16:
        import tensorflow as tf

        # Pillow cuts colours to 8 bits.
        with tf.device("CPU"):
            values: np.ndarray = tf.io.decode_png(content, dtype=tf.uint16).numpy()
        return values
    if picture.mode == "F":
        raise ConversionError(
            "its pixels are fractions, whose range nobody states; convert it to 8 or 16 bits"
        )
    if not picture.mode.startswith("I"):
        return None
    values = np.asarray(picture)
    if values.min() < 0 or values.max() >= 2**16:
        raise ConversionError(
            f"its values are from {values.min()} to {values.max()}; convert it to 8 or 16 bits"
        )
    return values.astype(np.uint16)[..., np.newaxis]


def _to_8_bits(values: np.ndarray, background: str) -> tuple[np.ndarray, int]:
    """uint8 (height, width, 3) of values of more bits, and of how many their colours are."""
    has_alpha = values.shape[-1] in (2, 4)
    colours = values[..., :-1] if has_alpha else values
    bits = next(depth for depth in _DEPTHS if int(colours.max()) < 2**depth)
    rgb = np.broadcast_to((colours >> (bits - 8)).astype(np.uint8), (*values.shape[:2], 3))
    if has_alpha:
        rgb = lay_on(background, rgb, (values[..., -1:] >> 8).astype(np.uint8))
    return rgb, bits


def to_rgb(picture: Image.Image, background: str) -> np.ndarray:
    """The pixels of a picture of 8 bits: uint8 (height, width, 3), laid on the background."""
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        values = np.asarray(picture.convert("RGBA"))
        return lay_on(background, values[..., :3], values[..., 3:])
    return np.asarray(picture.convert("RGB"))


def lay_on(background: str, colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Colours uint8 (…, 3) of an opacity uint8 (…, 1) before a background, as the graph mixes."""
    share = opacity.astype(np.int32)
    behind = BACKGROUND_VALUES[background] * (255 - share)
    return ((colours.astype(np.int32) * share + behind + 127) // 255).astype(np.uint8)


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (height, width, …) as stored -> upright, by EXIF's orientation."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels


FindFolder = Callable[[], Path]
"""Gives the folder for converted pictures, which is made when there is one to be kept."""


def cached_pictures() -> Path:
    """The folder of the cache for converted pictures, for runs that come back to them."""
    return cache_folder("converted") / "pictures"


@contextmanager
def temporary_pictures() -> Iterator[FindFolder]:
    """A folder for converted pictures that are read once; it goes away at the end."""
    made: list[Path] = []
    alone = threading.Lock()
    with ExitStack() as stack:

        def find_folder() -> Path:
            with alone:
                if not made:
                    folder = stack.enter_context(TemporaryDirectory(prefix="kft-pictures-"))
                    made.append(Path(folder))
                return made[0]

        yield find_folder


def keep_converted(
    pixels: np.ndarray, digest: str, background: str, find_folder: FindFolder
) -> Path:
    """The PNG file of a converted picture, written unless it is there.

    Args:
        pixels: uint8 (height, width, 3).
        digest: SHA-256 of the file that was converted.
        background: What was behind it.
        find_folder: Gives the folder that it lies in.
    """
    from PIL import Image

    path = find_folder() / _find_name(digest, background)
    if not _is_whole(path):
        with atomic_file(path) as temporary:
            # The fastest: these files are read more often than kept.
            Image.fromarray(pixels).save(temporary, "PNG", compress_level=1)
    return path


def _find_name(digest: str, background: str) -> str:
    key = hashlib.sha256(f"{VERSION}\n{digest}\n{background}\n".encode()).hexdigest()[:32]
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
