"""Reader of the header of an encoded picture, without decoding it."""

from __future__ import annotations

import io
from typing import Any

from kft.modalities.image import exif
from kft.modalities.image.header_record import ANIMATED, SEVERAL_PAGES, TURNED, Header, HeaderError
from kft.modalities.image.jpeg import read_jpeg
from kft.modalities.image.jpeg2000 import JPEG2000_STARTS, read_jpeg2000_header
from kft.modalities.image.samples import SamplesError
from kft.modalities.image.tiff import TIFF_STARTS, read_tiff_header

# Formats to open with Pillow. Its other decoders are not for photographs, and some start programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "JPEG2000")
# Formats that the decoder of training and serving does not support.
FOREIGN_FORMATS = frozenset({"TIFF", "PPM", "JPEG2000", "DIB"})

_PNG_START = b"\x89PNG\r\n\x1a\n"
# Last chunk of every PNG: length 0, name and checksum.
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
# Colour type and bits per channel -> mode as Pillow names it.
_PNG_MODES = {
    **{(0, bits): "1" if bits == 1 else "L" for bits in (1, 2, 4, 8)},
    **{(3, bits): "P" for bits in (1, 2, 4, 8)},
    **{(2, bits): "RGB" for bits in (8, 16)},
    **{(4, bits): "LA" for bits in (8, 16)},
    **{(6, bits): "RGBA" for bits in (8, 16)},
    (0, 16): "I;16",
}


def read_header(content: bytes) -> Header:
    """Read format, size and state of an encoded picture.

    Raises:
        HeaderError: The format is unknown, the picture is cut off, or its channels or samples
            cannot be shown.
    """
    try:
        return _read_own(content) or _ask_pillow(content)
    except SamplesError as error:
        raise HeaderError(str(error)) from None


def _read_own(content: bytes) -> Header | None:
    """Read the formats that do not need Pillow or that it does not support."""
    header = None
    if content.startswith(b"\xff\xd8"):
        header = read_jpeg(content)
    elif content.startswith(_PNG_START):
        header = _read_png(content)
    elif content.startswith((b"GIF87a", b"GIF89a")):
        _refuse_cut_gif(content)
    elif content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content):
        raise HeaderError("cut off: a WebP shorter than its header says")
    elif content.startswith(TIFF_STARTS):
        header = _read_tiff(content)
    elif content.startswith(JPEG2000_STARTS):
        header = _read_jpeg2000(content)
    elif content.startswith(b"P7\n"):
        raise HeaderError("a PAM picture, which is not decoded; convert it to PNG")
    return header


def _read_tiff(content: bytes) -> Header | None:
    """Read a header; None if Pillow reads the picture correctly."""
    found = read_tiff_header(content)
    if found is None or found.mode is None:
        return None
    return Header(
        "TIFF",
        found.mode,
        found.width,
        found.height,
        found.orientation,
        looks_whole=False,
        repairs=("TIFF",) if found.orientation == exif.UPRIGHT else ("TIFF", TURNED),
        noticed=(SEVERAL_PAGES,) if found.has_more_pages else (),
    )


def _read_jpeg2000(content: bytes) -> Header | None:
    """Read a header; None if Pillow reads the picture correctly."""
    found = read_jpeg2000_header(content)
    if found is None:
        return None
    return Header(
        "JPEG2000",
        found.mode,
        found.width,
        found.height,
        exif.UPRIGHT,
        looks_whole=False,
        repairs=("JPEG2000",),
    )


def _read_png(content: bytes) -> Header | None:
    """Walk through the chunks to the last one; None if the first is invalid."""
    if content[8:16] != b"\x00\x00\x00\x0dIHDR" and len(content) >= 16:
        return None
    place, orientation, noticed = 8, exif.UPRIGHT, []
    while content[place + 4 : place + 8] != b"IEND":
        length = int.from_bytes(content[place : place + 4], "big")
        kind = content[place + 4 : place + 8]
        if kind == b"eXIf":
            orientation = exif.read_orientation(content[place + 8 : place + 8 + length])
        elif kind == b"acTL":
            noticed.append(ANIMATED)
        place += 12 + length
        if place + 12 > len(content):
            raise HeaderError("cut off: a PNG without its end chunk")
    if content[place + 12 :].strip(b"\0"):
        noticed.append("bytes after the end")
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    bits, colour_type = content[24], content[25]
    mode = _PNG_MODES.get((colour_type, bits))
    if mode is None or not width or not height:
        return None
    repairs = (TURNED,) if orientation != exif.UPRIGHT else ()
    return Header(
        "PNG",
        mode,
        width,
        height,
        orientation,
        # With 16 bits, the number that the values use must be determined first.
        looks_whole=bits <= 8 and not repairs,
        repairs=repairs,
        noticed=tuple(noticed),
    )


def _refuse_cut_gif(content: bytes) -> None:
    """Walk through the blocks to the end mark, because decoders accept a truncated file."""
    place = 13 + _gif_table_bytes(content[10:11])
    while content[place : place + 1] in (b"!", b","):
        if content[place : place + 1] == b",":
            place += 11 + _gif_table_bytes(content[place + 9 : place + 10])
        else:
            place += 2
        while length := int.from_bytes(content[place : place + 1], "big"):
            place += 1 + length
        place += 1
    # Decoders handle any other content.
    if place >= len(content):
        raise HeaderError("cut off: a GIF without its end mark")


def _gif_table_bytes(flags: bytes) -> int:
    """Return the size in bytes of the colour table that a packed byte describes."""
    packed = int.from_bytes(flags, "big")
    return 3 * 2 ** ((packed & 7) + 1) if packed & 0x80 else 0


def _ask_pillow(content: bytes) -> Header:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            name = str(picture.format)
            orientation = _find_orientation(picture)
            repairs = [name] if name in FOREIGN_FORMATS else []
            if orientation != exif.UPRIGHT:
                repairs.append(TURNED)
            return Header(
                name,
                picture.mode,
                picture.width,
                picture.height,
                orientation,
                looks_whole=False,
                repairs=tuple(repairs),
                noticed=_find_frames(picture),
            )
    # Decoders raise all kinds of errors on invalid bytes.
    except Exception as error:
        raise HeaderError(f"not a known picture format ({type(error).__name__})") from None


def _find_orientation(picture: Any) -> int:
    if picture.format == "TIFF":
        stated = picture.tag_v2.get(exif.ORIENTATION_TAG, exif.UPRIGHT)
        return stated if stated in range(1, 9) else exif.UPRIGHT
    block = picture.info.get("exif", b"")
    return exif.read_orientation(block.removeprefix(exif.MARK))


def _find_frames(picture: Any) -> tuple[str, ...]:
    if not getattr(picture, "is_animated", False):
        return ()
    return (SEVERAL_PAGES if picture.format == "TIFF" else ANIMATED,)
