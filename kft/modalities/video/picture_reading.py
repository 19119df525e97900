"""Videos that are pictures: animated GIFs, and files of frames."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from kft.config import VideoConfig
from kft.errors import first_line
from kft.modalities.checked import UnusableError
from kft.modalities.video.frame_file import FrameFile, unpack_frames
from kft.modalities.video.opened import (
    Frame,
    OpenedVideo,
    find_kept_size,
    refuse_large,
    refuse_long,
    refuse_many,
)

FRAME_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
# Formats of frames that lose nothing.
_EXACT = {"PNG", "BMP", "GIF"}
# As browsers show a frame of no duration.
_USUAL_SECONDS = 0.1
# Frames of a folder, encoded: those of the longest video at a megabyte each would be more.
_MOST_BYTES = 4_000_000_000


def open_gif(content: bytes, settings: VideoConfig) -> OpenedVideo:
    """Open an animated GIF.

    Raises:
        UnusableError: It is damaged, cut off or too large.
    """
    if not content.rstrip(b"\0").endswith(b";"):
        raise UnusableError("cut off: the mark at the end of a GIF is missing")
    opened = _open_picture(content, "the GIF")
    width, height = opened.size
    refuse_large(width, height, settings)
    return OpenedVideo("GIF", width, height, True, _iterate_gif(opened, settings))


def _iterate_gif(opened: Any, settings: VideoConfig) -> Iterator[Frame]:
    width, height = opened.size
    seconds, size = 0.0, find_kept_size(width, height, settings)
    try:
        for frame in ImageSequence.Iterator(opened):
            refuse_long(seconds, settings)
            yield Frame(shrink(_lay_on_black(frame), size), seconds)
            seconds += frame.info.get("duration", 0) / 1000 or _USUAL_SECONDS
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnusableError(f"damaged or cut off: {first_line(error)[:-1]}") from None


def open_frames(content: bytes, settings: VideoConfig) -> OpenedVideo:
    """Open a file of frames.

    Raises:
        UnusableError: It is damaged, or its first frame is.
    """
    encoded = unpack_frames(content).frames
    if not encoded:
        raise UnusableError("a file without frames")
    refuse_many(len(encoded), settings)
    first = _open_picture(encoded[0], "frame 1")
    width, height = first.size
    refuse_large(width, height, settings)
    width, height = _stand_upright(first, "frame 1").size
    form = str(first.format)
    frames = _iterate_frames(encoded, (width, height), settings)
    return OpenedVideo(form, width, height, form in _EXACT, frames)


def _iterate_frames(
    encoded: Sequence[bytes], expected: tuple[int, int], settings: VideoConfig
) -> Iterator[Frame]:
    kept = find_kept_size(*expected, settings)
    for number, content in enumerate(encoded, start=1):
        opened = _open_picture(content, f"frame {number}")
        width, height = opened.size
        refuse_large(width, height, settings)
        upright = _stand_upright(opened, f"frame {number}")
        if upright.size != expected:
            raise UnusableError(
                "frame {} is {} x {}, the first {} x {}".format(number, *upright.size, *expected)
            )
        yield Frame(shrink(upright, kept), None)


def _open_picture(content: bytes, what: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, UnidentifiedImageError):
            raise UnusableError(f"{what} is damaged, or no picture") from None
        raise UnusableError(f"{what} is damaged: {first_line(error)[:-1]}") from None
    except Image.DecompressionBombError:
        raise UnusableError(f"{what} is too large to be decoded") from None


def _stand_upright(picture: Image.Image, what: str) -> Image.Image:
    """Decode a picture, turned as its EXIF entry says, opaque."""
    try:
        return _lay_on_black(ImageOps.exif_transpose(picture))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UnusableError(f"{what} is damaged or cut off: {first_line(error)[:-1]}") from None


def _lay_on_black(picture: Image.Image) -> Image.Image:
    """Make a picture opaque RGB: black is behind a video."""
    if picture.mode == "RGB":
        return picture.copy()
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    opaque = Image.new("RGBA", picture.size, (0, 0, 0, 255))
    opaque.alpha_composite(picture.convert("RGBA"))
    return opaque.convert("RGB")


def shrink(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize a picture unless it has the size already."""
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def holds_frames(names: Sequence[str]) -> bool:
    """Tell by the names of all files of a folder whether it holds the frames of one video."""
    return len(names) > 1 and all(name.lower().endswith(FRAME_ENDINGS) for name in names)


def read_folder(folder: str, settings: VideoConfig) -> bytes:
    """Read a folder of frames as a file of frames, in the order of the numbers in their names.

    Raises:
        UnusableError: The folder holds other files too, or too many.
    """
    paths = [path for path in Path(folder).iterdir() if not path.name.startswith(".")]
    if not holds_frames([path.name for path in paths]):
        raise UnusableError(
            "a folder that is no video: expected two or more frames, and only frames, ending in "
            f"{', '.join(FRAME_ENDINGS)}"
        )
    refuse_many(len(paths), settings)
    size = sum(path.stat().st_size for path in paths)
    if size > _MOST_BYTES:
        raise UnusableError(
            f"{size / 1e9:.3g} GB of frames; at most {_MOST_BYTES / 1e9:g} are read. Make them "
            "smaller, or a video of them"
        )
    return FrameFile([path.read_bytes() for path in sorted(paths, key=_order)]).pack()


def _order(path: Path) -> tuple[Any, ...]:
    """Key that sorts `frame10` after `frame9`."""
    parts = re.split(r"(\d+)", path.stem)
    numbers = tuple(int(part) if part.isdigit() else part for part in parts)
    # Text and numbers alternate, so parts at the same place are of one type.
    return (*numbers, path.name)
