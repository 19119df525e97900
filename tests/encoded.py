"""Encoded pictures of every kind, made from noise or from an asymmetric picture."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

# Transposition of an upright picture -> as a camera of that EXIF orientation stores it.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def make_noise(
    width: int = 12, height: int = 10, *, channels: int = 3, seed: int = 0
) -> np.ndarray:
    """uint8 (height, width, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def make_scene(width: int = 96, height: int = 64, *, seed: int = 0) -> Image.Image:
    """Make smooth colours that differ in every corner, similar to a photograph for a decoder."""
    coarse = make_noise(18, 12, seed=seed)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encode(picture: Image.Image | np.ndarray, format_name: str, **options) -> bytes:
    """Encode a picture as a file."""
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    picture.save(buffer, format_name, **options)
    return buffer.getvalue()


def decode(content: bytes, mode: str = "RGB") -> np.ndarray:
    """Decode with Pillow."""
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert(mode))


def make_exif(orientation: int) -> bytes:
    """Make EXIF data like those of cameras, in Pillow's byte order."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif[0x0112] = orientation
    exif[0x0132] = "2020:01:01 00:00:00"
    return exif.tobytes()


def make_tiff_block(orientation: int, order: str = "<", *, offset: int = 8) -> bytes:
    """Make the TIFF structure within EXIF data, with two entries."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", offset)
    make = struct.pack(f"{order}HHI4s", 0x010F, 2, 4, b"kft\0")
    turned = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return start + bytes(offset - 8) + struct.pack(f"{order}H", 2) + make + turned + bytes(4)


def add_segment(jpeg: bytes, marker: int, data: bytes) -> bytes:
    """Insert a segment at the beginning of a JPEG."""
    return jpeg[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def drop_segments(jpeg: bytes, marker: int) -> bytes:
    """Remove the segments of one kind from a JPEG."""
    place, kept = 2, jpeg[:2]
    while jpeg[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        kept += b"" if jpeg[place + 1] == marker else jpeg[place:end]
        place = end
    return kept + jpeg[place:]


def make_png_chunk(name: bytes, data: bytes) -> bytes:
    """Make a PNG chunk with its length and checksum."""
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check


def make_huge_png(width: int, height: int) -> bytes:
    """Make a PNG of that size, with a header and almost no data."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + make_png_chunk(b"IHDR", header)
        + make_png_chunk(b"IDAT", b"")
        + make_png_chunk(b"IEND", b"")
    )


def make_deep_png(values: np.ndarray) -> bytes:
    """Encode uint16 (height, width, 1 to 4 channels) as a PNG of 16 bits."""
    height, width, channels = values.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return (
        b"\x89PNG\r\n\x1a\n"
        + make_png_chunk(b"IHDR", header)
        + make_png_chunk(b"IDAT", zlib.compress(rows))
        + make_png_chunk(b"IEND", b"")
    )
