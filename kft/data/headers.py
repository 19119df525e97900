"""What the first and last bytes of an encoded picture say, without decoding it."""

from __future__ import annotations

import io
from dataclasses import dataclass

_PNG_START = b"\x89PNG\r\n\x1a\n"
# The chunk that ends every PNG: no data, its name, its checksum.
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
# Start of frame: all but the markers of tables (C4, C8, CC) that lie between.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive Huffman coding: what libjpeg decodes in 8 bits.
_JPEG_USUAL_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_JPEG_SCAN = 0xDA


class HeaderError(Exception):
    """The bytes are no picture."""


@dataclass(frozen=True)
class Header:
    """A picture from outside.

    Attributes:
        width: Pixels.
        height: Pixels.
        looks_whole: It is a JPEG or PNG of a usual kind, from its first mark to its last. Damage
            in between is seen only by decoding it; where this is false, nothing is known.
    """

    width: int
    height: int
    looks_whole: bool


def read_header(content: bytes) -> Header:
    """Size and state of an encoded picture.

    Raises:
        HeaderError: No picture format that is known.
    """
    header = None
    if content.startswith(b"\xff\xd8"):
        header = _read_jpeg(content)
    elif content.startswith(_PNG_START + b"\x00\x00\x00\rIHDR") and len(content) > 33:
        width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
        header = Header(width, height, content.endswith(_PNG_END))
    return header or _ask_pillow(content)


def _read_jpeg(content: bytes) -> Header | None:
    """Walk over the segments to the one that holds the size; None where they make no sense."""
    place = 2
    while place + 9 < len(content) and content[place] == 0xFF:
        kind = content[place + 1]
        if kind == 0xFF:  # a marker may be padded
            place += 1
            continue
        if kind in _JPEG_FRAMES:
            bits = content[place + 4]
            height, width = (
                int.from_bytes(content[i : i + 2], "big") for i in (place + 5, place + 7)
            )
            is_usual = kind in _JPEG_USUAL_FRAMES and bits == 8 and height > 0 and width > 0
            # Cameras pad with zeros; whatever else follows the end is looked at by decoding.
            return Header(width, height, is_usual and content.rstrip(b"\0").endswith(_JPEG_END))
        if kind == _JPEG_SCAN:
            return None
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return None


def _ask_pillow(content: bytes) -> Header:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            return Header(picture.width, picture.height, looks_whole=False)
    except (OSError, ValueError, SyntaxError) as error:
        raise HeaderError(f"no picture format that is known ({type(error).__name__})") from None
