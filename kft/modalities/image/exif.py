"""EXIF orientation: the position of the camera, 1 to 8; 1 is upright.

The exported graph reads it only from the first bytes of a JPEG, by the rule of
`orientation_in_window`; the file check converts the rare files that store it elsewhere.
"""

from __future__ import annotations

from typing import Literal

# Large enough for the segments before the entry in files of cameras and phones, but still cheap.
WINDOW = 4096
MARK = b"Exif\0\0"
ORIENTATION_TAG = 0x0112
SHORT_TYPE = 3
UPRIGHT = 1
_APP1 = b"\xff\xe1"
_ENTRY_BYTES = 12


def read_orientation(block: bytes) -> int:
    """Read the orientation in the first directory of a TIFF structure; upright if invalid."""
    order: Literal["little", "big"]
    if block[:4] == b"II*\0":
        order = "little"
    elif block[:4] == b"MM\0*":
        order = "big"
    else:
        return UPRIGHT

    def number(place: int, size: int = 2) -> int:
        return int.from_bytes(block[place : place + size].ljust(size, b"\0"), order)

    offset = number(4, 4)
    first = offset + 2
    if first > len(block):
        return UPRIGHT
    # Entries that end beyond the block are ignored.
    count = min(number(offset), (len(block) - first) // _ENTRY_BYTES)
    stated = [
        number(place + 8)
        for place in range(first, first + _ENTRY_BYTES * count, _ENTRY_BYTES)
        if number(place) == ORIENTATION_TAG and number(place + 2) == SHORT_TYPE
    ]
    largest = max(stated, default=UPRIGHT)
    return largest if 1 <= largest <= 8 else UPRIGHT


def orientation_in_window(content: bytes) -> int:
    """Read the orientation as the graph does: from the first EXIF mark in `WINDOW` bytes."""
    head = content[:WINDOW]
    start = head.find(MARK)
    if start < 4 or head[start - 4 : start - 2] != _APP1:
        return UPRIGHT
    return read_orientation(head[start + len(MARK) :])
