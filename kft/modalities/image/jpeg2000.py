"""JPEG 2000: check of channels and samples, and reader of samples of other than 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kft.modalities.image.sample_scale import FULL_SCALE
from kft.modalities.image.samples import (
    DEEP_MODES,
    MOST_BITS,
    DeepPicture,
    SamplesError,
    describe_channels,
    describe_numbers,
    refuse_bits,
)

# First bytes of a file of boxes, and of a bare code stream.
JPEG2000_STARTS = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
_CODE_START, _CODE_END = b"\xff\x4f\xff\x51", b"\xff\xd9"
_CMYK, _SRGB, _GREY = 12, 16, 17


@dataclass(frozen=True)
class _Code:
    """Properties of a picture in its code stream.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        bits: Bits of each channel.
        is_signed: Whether any channel is signed.
        is_subsampled: Whether any channel has fewer pixels.
        has_opacity: Whether the last channel, and no other, is defined as opacity.
        colour_space: Number of the colour space; None if it has no number.
        has_palette: Whether its values are indices of a palette.
    """

    width: int
    height: int
    bits: tuple[int, ...]
    is_signed: bool
    is_subsampled: bool
    has_opacity: bool
    colour_space: int | None
    has_palette: bool


@dataclass(frozen=True)
class Jpeg2000Header:
    """Header of a JPEG 2000 of other than 8 bits that can be shown."""

    mode: str
    width: int
    height: int


def read_jpeg2000_header(content: bytes) -> Jpeg2000Header | None:
    """Read the header; None if it has 8 bits or is invalid.

    Raises:
        SamplesError: The channels or samples cannot be shown; the message says which.
    """
    code = _read_code(content)
    if code is None or code.has_palette:
        return None
    channels = len(code.bits)
    is_cmyk = (channels, code.colour_space) == (4, _CMYK)
    if not (channels in (1, 3) or (channels in (2, 4) and code.has_opacity) or is_cmyk):
        what = " (the last is not defined as opacity)" if channels in (2, 4) else ""
        raise SamplesError(describe_channels(channels, what))
    if code.is_signed:
        raise SamplesError(describe_numbers("signed numbers"))
    if set(code.bits) == {8}:
        return None
    _refuse_deep(code)
    return Jpeg2000Header(DEEP_MODES[channels], code.width, code.height)


def _refuse_deep(code: _Code) -> None:
    refuse_bits(sorted(set(code.bits)))
    if code.is_subsampled or code.colour_space not in (None, _SRGB, _GREY):
        raise SamplesError(
            f"{code.bits[0]} bits for each value, and neither grey nor RGB of one size for all "
            "channels; convert it to grey or RGB"
        )


def read_jpeg2000(content: bytes) -> DeepPicture | None:
    """Read the samples of a JPEG 2000 of other than 8 bits; None for 8 bits.

    Raises:
        SamplesError: The picture is cut off.
    """
    code = _read_code(content)
    if code is None or code.has_palette or code.bits[0] == 8:
        return None
    # These two bytes occur in the code only as its end mark, which the decoder does not require.
    if _CODE_END not in content[content.find(_CODE_START) :]:
        raise SamplesError("damaged or cut off: a JPEG 2000 without its end mark")
    import imagecodecs

    values = np.atleast_3d(imagecodecs.jpeg2k_decode(content)).astype(np.uint16)
    full = 2 ** code.bits[0] - 1
    colours, opacity = values, None
    if code.has_opacity:
        colours = values[..., :-1]
        opacity = (values[..., -1:].astype(np.uint32) * FULL_SCALE // full).astype(np.uint16)
    return DeepPicture(colours, opacity, full if code.bits[0] < MOST_BITS else None)


def _read_code(content: bytes) -> _Code | None:
    start = content.find(_CODE_START)
    if start < 0 or len(content) < start + 42:
        return None

    def number(place: int, size: int) -> int:
        return int.from_bytes(content[place : place + size], "big")

    count = number(start + 40, 2)
    parts = content[start + 42 : start + 42 + 3 * count]
    if not count or len(parts) < 3 * count:
        return None
    width, height, left, top = (number(start + 8 + 4 * i, 4) for i in range(4))
    boxes = content[:start]
    space = boxes.find(b"colr")
    is_numbered = space >= 0 and boxes[space + 4 : space + 5] == b"\x01"
    return _Code(
        width - left,
        height - top,
        bits=tuple((part & 0x7F) + 1 for part in parts[::3]),
        is_signed=any(part & 0x80 for part in parts[::3]),
        is_subsampled=set(parts[1::3]) | set(parts[2::3]) != {1},
        has_opacity=_find_opacity(boxes) == [count - 1],
        colour_space=number(space + 7, 4) if is_numbered else None,
        has_palette=b"pclr" in boxes,
    )


def _find_opacity(boxes: bytes) -> list[int]:
    """Find the channels that the box of channel definitions calls opacity."""
    place = boxes.find(b"cdef")
    if place < 0:
        return []
    count = int.from_bytes(boxes[place + 4 : place + 6], "big")
    data = boxes[place + 6 : place + 6 + 6 * count]
    # A damaged box may end within an entry.
    entries = np.frombuffer(data[: len(data) // 6 * 6], ">u2")
    return [int(channel) for channel, kind, _ in entries.reshape(-1, 3) if kind == 1]
