"""The size that the headers of a video state, compared with the file's: FFmpeg compares nothing."""

from __future__ import annotations

import struct

from kft.modalities.checked import UnusableError
from kft.modalities.video.containers import find_container

# Of Matroska: the element that holds all others but the first, whose identifier is 4 bytes long.
_SEGMENT = b"\x18\x53\x80\x67"
_IDENTIFIER = 4


def refuse_short(content: bytes) -> None:
    """Refuse a file of MP4, WebM or AVI that is shorter than its own headers say.

    A file that was written while it was recorded may state no size.

    Raises:
        UnusableError: It is cut off.
    """
    find_end = _FIND_END.get(find_container(content))
    try:
        stated = None if find_end is None else find_end(content)
    except (struct.error, IndexError):
        stated = None
    if stated is not None and stated > len(content):
        raise UnusableError(
            f"cut off: its headers promise {stated:,} bytes, the file holds {len(content):,}"
        )


def _find_end_of_boxes(content: bytes) -> int:
    """End of the last box of the family of MP4, each with its size before its name."""
    place = 0
    while place + 8 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, place + 8)
        if size < 8:
            # The last box reaches to the end of the file, or what follows is padding.
            return place
        place += size
    return place


def _find_end_of_segment(content: bytes) -> int | None:
    """End of the segment of a Matroska file, after the element that names the form."""
    size, begin = _read_size(content, _IDENTIFIER)
    place = begin + (size or 0)
    if content[place : place + _IDENTIFIER] != _SEGMENT:
        return None
    size, begin = _read_size(content, place + _IDENTIFIER)
    return None if size is None else begin + size


def _read_size(content: bytes, place: int) -> tuple[int | None, int]:
    """A number of Matroska, None for unknown, and the place after it.

    Zeros before its first one tell how many bytes follow the first.
    """
    length = 9 - content[place].bit_length()
    value = int.from_bytes(content[place : place + length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), place + length


def _find_end_of_riff(content: bytes) -> int | None:
    """End of the first part of an AVI file."""
    (size,) = struct.unpack_from("<I", content, 4)
    return 8 + size if size else None


_FIND_END = {
    "MP4 or MOV": _find_end_of_boxes,
    "WebM or Matroska": _find_end_of_segment,
    "AVI": _find_end_of_riff,
}
