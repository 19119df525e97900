"""The content of one file: whether it is a picture that can be used, as it is or as converted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from kft.config import ImageConfig
from kft.errors import first_line
from kft.modalities.image.background import Background
from kft.modalities.image.conversion import (
    ConversionError,
    Converted,
    FindFolder,
    convert,
    keep_converted,
)
from kft.modalities.image.depth import KnownDepth, find_excess
from kft.modalities.image.exif import UPRIGHT
from kft.modalities.image.header_record import ANIMATED, Header, HeaderError
from kft.modalities.image.headers import read_header
from kft.modalities.image.jpeg import find_jpeg_end
from kft.modalities.image.samples import MOST_BITS, Samples
from kft.modalities.image.thumbnails import (
    HASHED_SIDE,
    MEASURED_SIDE,
    Measures,
    hash_look,
    measure,
    open_small,
    shrink,
)

if TYPE_CHECKING:
    from PIL import Image

# What a file must begin with to be refused by name, and what is said of it.
_STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the picture; run `git lfs pull`"),
    (b"<!doctype html", "an HTML page, not a picture; the download failed"),
    (b"<html", "an HTML page, not a picture; the download failed"),
    (b"<svg", "an SVG drawing; convert it to PNG"),
    (b"<?xml", "an XML text, not a picture"),
    (b"%pdf", "a PDF document; convert its pages to PNG"),
    (b"pk\x03\x04", "a ZIP archive, not a picture; unpack it"),
)
# Bytes 8 to 12 of a file that bytes 4 to 8 call `ftyp`.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
_JPEG_XL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")
# Endings -> the formats that they promise.
_ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", "MPO")),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), ("PPM",)),
    **dict.fromkeys((".bmp", ".dib"), ("BMP", "DIB")),
    ".png": ("PNG",),
    ".gif": ("GIF",),
    ".webp": ("WEBP",),
    ".jp2": ("JPEG2000",),
}
WRONG_ENDING = "ending does not match the content"
# JPEG decoders round in different ways, most where a colour has few samples; others are exact
# but for one step in mixing with the background.
_LARGEST_DIFFERENCE = {"JPEG": 16, "MPO": 16}
# What libjpeg shows where a JPEG's data ended too soon.
_MISSING = 128
# Bytes of no marker, for a decoder that lacks data.
_FILLER = bytes(range(1, 201)) * 200


class UnusableError(Exception):
    """Why one file cannot be used."""


@dataclass(frozen=True)
class Look:
    """What there is to say of a content.

    Attributes:
        header: What its bytes say before they are decoded.
        converted: The file to be read in its place, where it was converted.
        repaired: Why.
        noticed: What else is worth a word.
        likeness: Perceptual hash, if it was asked for and the picture is not too plain.
        measures: Of its thumbnail, if they were asked for; by its own white.
        samples: Of a picture of more than 8 bits; else None.
    """

    header: Header
    converted: Path | None = None
    repaired: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    likeness: int | None = None
    measures: Measures | None = None
    samples: Samples | None = None


def look_at(
    content: bytes,
    *,
    path: str,
    digest: str,
    settings: ImageConfig,
    find_folder: FindFolder,
    decode: bool,
    with_likeness: bool,
    with_measures: bool,
    known_depth: KnownDepth | None = None,
) -> Look:
    """Look at the content of a file, and convert it where the graph would not show it as meant.

    Args:
        content: The whole file.
        path: Its path, for the ending.
        digest: SHA-256 of the content.
        settings: The `data.image` section.
        find_folder: Gives the folder for what is converted.
        decode: Decode it, whatever its header says.
        with_likeness: Compute its perceptual hash.
        with_measures: Measure its colours and sharpness.
        known_depth: Of the model that is to see it; None where it takes part in deciding that.

    Raises:
        UnusableError: It is no picture that can be used.
    """
    refuse_stranger(content)
    header = _read_header(content, settings)
    meant: Converted | None = None
    repaired: tuple[str, ...] = ()
    if not header.looks_whole:
        meant = _convert(content, header, settings, known_depth)
        repaired = _find_repairs(content, header, settings.background, meant)
    elif decode:
        _refuse_starved(content, header, _decode(content, settings.background))
    samples = meant.deep.samples if meant and meant.deep else None
    likeness, measures = None, None
    if with_likeness or with_measures:
        side = MEASURED_SIDE if with_measures else HASHED_SIDE
        thumbnail = _make_thumbnail(content, header, meant, settings.background, side)
        likeness = hash_look(thumbnail) if with_likeness else None
        measures = measure(thumbnail) if with_measures else None
    return Look(
        header,
        _keep(meant, digest, settings, find_folder) if meant and repaired else None,
        repaired,
        (*header.noticed, *_find_remarks(header, path)),
        likeness,
        measures,
        samples,
    )


def _keep(meant: Converted, digest: str, settings: ImageConfig, find_folder: FindFolder) -> Path:
    """The file that is read in place of the picture."""
    # Of more than 8 bits the same file may be read in several ways.
    white = f"{meant.deep.white} {settings.depth}" if meant.deep else ""
    return keep_converted(meant.kept, digest, settings.background, find_folder, white)


def refuse_stranger(content: bytes) -> None:
    """Refuse what is no picture by its first bytes, of which some thousand are enough.

    Raises:
        UnusableError: It says what was found.
    """
    if not content:
        raise UnusableError("the file is empty")
    start = content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, what in _STRANGERS:
        if start.startswith(beginning):
            raise UnusableError(what)
    if content.startswith(_JPEG_XL):
        raise UnusableError("JPEG XL, which is not decoded; convert it to JPEG or PNG")
    if content[4:8] == b"ftyp":
        brand = _BRANDS.get(content[8:12])
        if brand is None:
            raise UnusableError("a video, not a picture")
        raise UnusableError(f"{brand}, which is not decoded; convert it to JPEG or PNG")


def _read_header(content: bytes, settings: ImageConfig) -> Header:
    try:
        header = read_header(content)
    except HeaderError as error:
        what = "a text, not a picture" if _is_text(content) else str(error)
        raise UnusableError(what) from None
    if header.width * header.height > settings.max_megapixels * 1_000_000:
        raise UnusableError(
            f"{header.width} x {header.height} pixels; at most {settings.max_megapixels:g} "
            "megapixels are decoded (data.image.max_megapixels)"
        )
    return header


def _is_text(content: bytes) -> bool:
    # So begin pictures of which too little is left.
    if content.startswith((b"GIF8", b"BM", b"RIFF", b"P")):
        return False
    # The last character may be cut off.
    start = content[:500].decode("utf-8", "ignore")
    return len(start.encode()) > min(len(content), 500) - 4 and all(
        character.isprintable() or character.isspace() for character in start
    )


def _convert(
    content: bytes, header: Header, settings: ImageConfig, known_depth: KnownDepth | None
) -> Converted:
    """The picture as it is meant."""
    set_depth = None if settings.depth == "auto" else settings.depth
    try:
        meant = convert(
            content,
            header,
            settings.background,
            set_depth=set_depth,
            known_depth=None if known_depth is None else known_depth.bits,
        )
    except ConversionError as error:
        raise UnusableError(str(error)) from None
    excess = find_excess(meant.deep.samples, set_depth, known_depth) if meant.deep else ""
    if excess:
        raise UnusableError(excess)
    return meant


def _find_repairs(
    content: bytes, header: Header, background: Background, meant: Converted
) -> tuple[str, ...]:
    """Why the graph would not show a picture as it is meant; nothing where it does."""
    if header.repairs:
        return header.repairs
    what = f"{header.format} of mode {header.mode}"
    try:
        if meant.deep is None:
            shown = _decode(content, background)
        else:
            shown = _decode(content, background, meant.deep.samples.bits)
    except UnusableError:
        if ANIMATED in header.noticed:
            what = f"animated {header.format}"
    else:
        if _is_same(shown, meant.pixels, _LARGEST_DIFFERENCE.get(header.format, 1)):
            return ()
        if header.format == "GIF":
            what = "GIF with transparent parts"
    return (what,)


def _decode(content: bytes, background: Background, depth: int = MOST_BITS) -> np.ndarray:
    """As training and serving decode it: uint8 (height, width, 3)."""
    import tensorflow as tf

    from kft.modalities.image.decoding import decode_picture

    try:
        with tf.device("CPU"):
            pixels: np.ndarray = decode_picture(
                tf.constant(content), background, depth=depth
            ).numpy()
    except tf.errors.OpError as error:
        raise UnusableError(f"damaged: {first_line(error)[:-1]}") from None
    return pixels


def _is_same(shown: np.ndarray, meant: np.ndarray, largest_difference: int) -> bool:
    return (
        shown.shape == meant.shape
        and int(np.abs(shown.astype(np.int16) - meant).max()) <= largest_difference
    )


def _make_thumbnail(
    content: bytes, header: Header, meant: Converted | None, background: Background, side: int
) -> Image.Image:
    from PIL import Image

    if meant is not None:
        return shrink(Image.fromarray(meant.pixels), UPRIGHT, side=side)
    try:
        small = open_small(content, background, side=side)
    # Decoders raise anything on bytes that nobody meant for them.
    except Exception as error:
        raise UnusableError(f"damaged: {first_line(error)[:-1]}") from None
    _refuse_starved(content, header, np.asarray(small))
    return shrink(small, header.orientation, side=side)


def _refuse_starved(content: bytes, header: Header, shown: np.ndarray) -> None:
    """Refuse a JPEG whose data end before its picture does, though its end mark is there.

    Decoders show grey from there on, and say nothing. Where the last corner is of that grey, more
    data before the end mark tell: they change a picture that lacks some, and no other.
    """
    corners = shown[[0, 0, -1, -1], [0, -1, 0, -1]]
    if header.format != "JPEG" or not (corners == _MISSING).all(axis=-1).any():
        return
    end = find_jpeg_end(content, header)
    fed = content[:end] + _FILLER + content[end:]
    before, after = (
        np.asarray(open_small(data, "white", side=HASHED_SIDE)) for data in (content, fed)
    )
    if not np.array_equal(before, after):
        raise UnusableError("cut off: a JPEG with an end mark, but without a part of its picture")


def _find_remarks(header: Header, path: str) -> Iterator[str]:
    if header.orientation != UPRIGHT:
        yield "turned upright, as its EXIF entry says"
    promised = _ENDINGS.get(PurePath(path).suffix.lower())
    if promised is not None and header.format not in promised:
        yield WRONG_ENDING
