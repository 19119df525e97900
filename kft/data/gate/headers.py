"""What the bytes of an encoded picture say of it, without decoding it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from kft.data.input import exif

# What Pillow is asked about; its other decoders are for no photographs, and some start programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "JPEG2000")
# Those that the decoder of training and serving does not know at all.
FOREIGN_FORMATS = frozenset({"TIFF", "PPM", "JPEG2000", "DIB"})
TURNED = "EXIF orientation"
ANIMATED = "animated: its first frame is used"

_PNG_START = b"\x89PNG\r\n\x1a\n"
# The chunk that ends every PNG: no data, its name, its checksum.
PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
# Colour type and bits of a channel -> mode in Pillow's words.
_PNG_MODES = {
    **{(0, bits): "1" if bits == 1 else "L" for bits in (1, 2, 4, 8)},
    **{(3, bits): "P" for bits in (1, 2, 4, 8)},
    **{(2, bits): "RGB" for bits in (8, 16)},
    **{(4, bits): "LA" for bits in (8, 16)},
    **{(6, bits): "RGBA" for bits in (8, 16)},
    (0, 16): "I;16",
}
_JPEG_END = b"\xff\xd9"
# Start of frame: all but the markers of tables (C4, C8, CC) that lie between.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline, extended and progressive Huffman coding: what libjpeg decodes in 8 bits.
_JPEG_USUAL_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_JPEG_SCAN = 0xDA
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


class HeaderError(Exception):
    """Why the bytes are no picture that can be used."""


@dataclass(frozen=True, slots=True)
class Header:
    """A picture from outside.

    Attributes:
        format: In Pillow's words: `JPEG`, `PNG`, `TIFF` …
        mode: Of its pixels, in Pillow's words: `RGB`, `L`, `CMYK` …
        width: Pixels as they are stored.
        height: Pixels as they are stored.
        orientation: EXIF's, 1 to 8.
        looks_whole: It is a JPEG or PNG of a usual kind, from its first mark to its last, that
            the decoder of training and serving shows as it is meant. Damage in between is seen
            only by decoding it; where this is false, nothing is known.
        repairs: Why that decoder would not show it as it is meant, as far as a header tells.
        noticed: What else is worth a word.
        pixels_at: Place of the first scan of a JPEG.
    """

    format: str
    mode: str
    width: int
    height: int
    orientation: int
    looks_whole: bool
    repairs: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    pixels_at: int = 0


def read_header(content: bytes) -> Header:
    """Format, size and state of an encoded picture.

    Raises:
        HeaderError: No picture format that is known, or one that is cut off.
    """
    header = None
    if content.startswith(b"\xff\xd8"):
        header = _read_jpeg(content)
    elif content.startswith(_PNG_START):
        header = _read_png(content)
    elif content.startswith((b"GIF87a", b"GIF89a")):
        _refuse_cut_gif(content)
    elif content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content):
        raise HeaderError("cut off: a WebP shorter than it says")
    return header or _ask_pillow(content)


@dataclass
class _Segments:
    """What lies before the first scan of a JPEG."""

    frame: int = 0
    orientation: int | None = None
    has_adobe_mark: bool = False
    has_several_pictures: bool = False


def _read_jpeg(content: bytes) -> Header | None:
    """Walk over the segments up to the pixels; None where they make no sense."""
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
        if kind == _JPEG_SCAN:
            return _describe_jpeg(content, found, place) if found.frame else None
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if length < 2:
            return None
        _note_segment(found, kind, place, content[place + 4 : place + 2 + length])
        place += 2 + length


def _note_segment(found: _Segments, kind: int, place: int, data: bytes) -> None:
    if kind in _JPEG_FRAMES:
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
    mode = _JPEG_MODES.get(content[found.frame + 9])
    if mode is None or not height or not width:
        return None
    orientation = found.orientation or exif.UPRIGHT
    repairs = []
    # Without the mark TensorFlow takes the inks as they are, all others as Adobe inverts them.
    if mode == "CMYK" and not found.has_adobe_mark:
        repairs.append("CMYK")
    if orientation != exif.orientation_in_window(content):
        repairs.append(TURNED)
    noticed = []
    if not content.endswith(_JPEG_END):
        end = content.find(_JPEG_END, scan)
        if end < 0:
            raise HeaderError("cut off: a JPEG without its end mark")
        # Cameras pad with zeros, and phones append pictures that the header tells of.
        if content[end + 2 :].strip(b"\0") and not found.has_several_pictures:
            noticed.append("bytes after the end")
    return Header(
        "JPEG",
        mode,
        width,
        height,
        orientation,
        looks_whole=kind in _JPEG_USUAL_FRAMES and bits == 8 and not repairs,
        repairs=tuple(repairs),
        noticed=tuple(noticed),
        pixels_at=scan,
    )


def find_jpeg_end(content: bytes, header: Header) -> int:
    """Place of the end mark of a JPEG whose header was read."""
    # Within the pixels these two bytes occur only as this mark.
    return content.find(_JPEG_END, header.pixels_at)


def _read_png(content: bytes) -> Header | None:
    """Walk over the chunks to the last one; None where the first makes no sense."""
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
        # Of 16 bits the values may use fewer.
        looks_whole=bits <= 8 and not repairs,
        repairs=repairs,
        noticed=tuple(noticed),
    )


def _refuse_cut_gif(content: bytes) -> None:
    """Walk over the blocks to the end mark; decoders are content with the frames that are left."""
    place = 13 + _gif_table_bytes(content[10:11])
    while content[place : place + 1] in (b"!", b","):
        if content[place : place + 1] == b",":
            place += 11 + _gif_table_bytes(content[place + 9 : place + 10])
        else:
            place += 2
        while length := int.from_bytes(content[place : place + 1], "big"):
            place += 1 + length
        place += 1
    # Whatever else lies there is left to the decoders.
    if place >= len(content):
        raise HeaderError("cut off: a GIF without its end mark")


def _gif_table_bytes(flags: bytes) -> int:
    """Of the table of colours that a packed byte tells of."""
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
    # Decoders raise anything on bytes that nobody meant for them.
    except Exception as error:
        raise HeaderError(f"no picture format that is known ({type(error).__name__})") from None


def _find_orientation(picture: Any) -> int:
    if picture.format == "TIFF":
        stated = picture.tag_v2.get(exif.ORIENTATION_TAG, exif.UPRIGHT)
        return stated if stated in range(1, 9) else exif.UPRIGHT
    block = picture.info.get("exif", b"")
    return exif.read_orientation(block.removeprefix(exif.MARK))


def _find_frames(picture: Any) -> tuple[str, ...]:
    if not getattr(picture, "is_animated", False):
        return ()
    return ("several pages: the first is used" if picture.format == "TIFF" else ANIMATED,)
