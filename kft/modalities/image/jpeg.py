"""Reader of the segments of a JPEG, up to its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from kft.modalities.image import exif
from kft.modalities.image.header_record import TURNED, Header, HeaderError
from kft.modalities.image.samples import SamplesError, describe_channels

_END = b"\xff\xd9"
# Start-of-frame markers: all except the table markers (C4, C8, CC) in between.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive Huffman coding, which libjpeg decodes in 8 bits.
_USUAL_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_SCAN = 0xDA
_LS_FRAME = 0xF7
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


@dataclass
class _Segments:
    """Content of the segments before the first scan of a JPEG."""

    frame: int = 0
    orientation: int | None = None
    has_adobe_mark: bool = False
    has_several_pictures: bool = False


def read_jpeg(content: bytes) -> Header | None:
    """Walk through the segments up to the pixels; None if they are invalid."""
    found, place = _Segments(), 2
    while True:
        if place + 10 > len(content):
            raise HeaderError("cut off: a JPEG that ends before its pixels begin")
        if content[place] != 0xFF:
            return None
        kind = content[place + 1]
        if kind == 0xFF:  # a marker may be padded
            place += 1
            continue
        if kind == _SCAN:
            return _describe_jpeg(content, found, place) if found.frame else None
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if length < 2:
            return None
        _note_segment(found, kind, place, content[place + 4 : place + 2 + length])
        place += 2 + length


def _note_segment(found: _Segments, kind: int, place: int, data: bytes) -> None:
    if kind == _LS_FRAME:
        raise HeaderError("JPEG-LS, which is not decoded; convert it to PNG")
    if kind in _FRAMES:
        found.frame = found.frame or place
    elif kind == 0xE1 and found.orientation is None and data.startswith(exif.MARK):
        found.orientation = exif.read_orientation(data[len(exif.MARK) :])
    elif kind == 0xE2 and data.startswith(b"MPF\0"):
        found.has_several_pictures = True
    elif kind == 0xEE and data.startswith(b"Adobe"):
        found.has_adobe_mark = True


def _describe_jpeg(content: bytes, found: _Segments, scan: int) -> Header | None:
    kind, bits = content[found.frame + 1], content[found.frame + 4]
    height, width = (
        int.from_bytes(content[i : i + 2], "big") for i in (found.frame + 5, found.frame + 7)
    )
    channels = content[found.frame + 9]
    if not channels or not height or not width:
        return None
    if bits != 8:
        raise HeaderError(
            f"a JPEG of {bits} bits; only JPEGs of 8 bits are decoded, so convert it to a PNG of "
            "16 bits"
        )
    if channels not in _MODES:
        raise SamplesError(describe_channels(channels))
    mode = _MODES[channels]
    orientation = found.orientation or exif.UPRIGHT
    repairs = []
    # Without the mark TensorFlow reads the inks directly; others invert them, as Adobe does.
    if mode == "CMYK" and not found.has_adobe_mark:
        repairs.append("CMYK")
    if orientation != exif.orientation_in_window(content):
        repairs.append(TURNED)
    noticed = []
    if not content.endswith(_END):
        end = content.find(_END, scan)
        if end < 0:
            raise HeaderError("cut off: a JPEG without its end mark")
        # Cameras pad with zeros, and phones append pictures that the header announces.
        if content[end + 2 :].strip(b"\0") and not found.has_several_pictures:
            noticed.append("bytes after the end")
    return Header(
        "JPEG",
        mode,
        width,
        height,
        orientation,
        looks_whole=kind in _USUAL_FRAMES and not repairs,
        repairs=tuple(repairs),
        noticed=tuple(noticed),
        pixels_at=scan,
    )


def find_jpeg_end(content: bytes, header: Header) -> int:
    """Find the byte offset of the end mark of a JPEG whose header was read."""
    # Within the pixel data these two bytes occur only as this mark.
    return content.find(_END, header.pixels_at)
