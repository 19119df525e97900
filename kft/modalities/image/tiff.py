"""TIFF: check of channels and samples, and reader of samples that Pillow would misread."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.modalities.image import exif
from kft.modalities.image.sample_scale import FULL_SCALE
from kft.modalities.image.samples import (
    DEEP_MODES,
    MOST_BITS,
    DeepPicture,
    SamplesError,
    count_bits,
    describe_channels,
    describe_numbers,
    divide_by_opacity,
    refuse_bits,
)

if TYPE_CHECKING:
    from tifffile import TiffPage

# Little and big endian, each with 32 and 64 bits.
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
# Photometric interpretation -> number of colour channels; others are refused.
_COLOUR_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, 3: 1, 5: 4, 6: 3, 8: 3}
_SHOWN_DEEP = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
# Kinds of extra channel: opacity with which the colours are multiplied, or are not.
_MULTIPLIED, _STRAIGHT = 1, 2
# Kinds of numbers, by SampleFormat; 4 is undefined, and is read as whole numbers.
_UNSIGNED = (1, 4)
_KINDS = {2: "signed numbers", 3: "fractions", 5: "complex numbers", 6: "complex numbers"}
# Lossless compressions: none, LZW, deflate under two numbers, PackBits, LZMA, Zstandard.
_LOSSLESS = (1, 5, 8, 32946, 32773, 34925, 50000)
_MAX_SAMPLE_VALUE = 281

# tifffile prints warnings about tags that kft does not use.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class TiffHeader:
    """First page of a TIFF that can be shown.

    Attributes:
        mode: Pixel mode as Pillow names it if Pillow would misread the picture; else None.
        width: Width in pixels as stored.
        height: Height in pixels as stored.
        orientation: EXIF orientation, 1 to 8.
        has_more_pages: Whether other pages follow.
    """

    mode: str | None
    width: int
    height: int
    orientation: int
    has_more_pages: bool


def read_tiff_header(content: bytes) -> TiffHeader | None:
    """Read the header of the first page; None if its tags are invalid.

    Raises:
        SamplesError: The channels or samples cannot be shown; the message says which.
    """
    try:
        with _open_page(content) as page:
            bits = _find_bits(page)
            channels = page.samplesperpixel
            kind, photometric = int(page.sampleformat), int(page.photometric)
            extras = tuple(int(extra) for extra in page.extrasamples)
            stated = page.tags.get(exif.ORIENTATION_TAG)
            header = TiffHeader(
                DEEP_MODES.get(channels) if _is_deep(bits, channels) else None,
                int(page.imagewidth),
                int(page.imagelength),
                stated.value if stated and stated.value in range(1, 9) else exif.UPRIGHT,
                len(page.parent.pages) > 1,
            )
            depth, compression = int(page.imagedepth), int(page.compression)
    # tifffile raises all kinds of errors on invalid bytes.
    except Exception:
        return None
    if kind not in _UNSIGNED:
        raise SamplesError(describe_numbers(_KINDS.get(kind, f"numbers of kind {kind}")))
    refuse_bits(bits)
    _refuse_channels(channels, photometric, extras)
    if depth > 1:
        raise SamplesError(f"a volume of {depth} slices; save the ones that you need as pictures")
    if header.mode is not None:
        _refuse_deep(bits[0], photometric, compression)
    return header


def read_tiff(content: bytes, white_if_open: int | None) -> DeepPicture | None:
    """Read the samples of a TIFF that Pillow would misread; None for others.

    Args:
        content: Content of the file.
        white_if_open: White of files that do not define it, if known.

    Raises:
        SamplesError: The picture is damaged or cut off, or its black is unknown.
    """
    if read_tiff_header(content) is None:
        raise SamplesError("damaged or cut off: its tags are invalid")
    with _open_page(content) as page:
        bits = _find_bits(page)[0]
        if not _is_deep((bits,), page.samplesperpixel):
            return None
        _refuse_missing_parts(page, len(content))
        values = page.asarray()
        if page.axes == "SYX":
            values = np.moveaxis(values, 0, -1)
        elif page.axes == "YX":
            values = values[..., np.newaxis]
        elif page.axes != "YXS":
            raise SamplesError(f"its axes are {page.axes}; save it as a flat picture")
        photometric = int(page.photometric)
        extras = tuple(map(int, page.extrasamples))
        tag = page.tags.get(_MAX_SAMPLE_VALUE)
    values = values.astype(np.uint16)
    full = 2**bits - 1
    colours, opacity = values, None
    if extras:
        opacity = (values[..., -1:].astype(np.uint32) * FULL_SCALE // full).astype(np.uint16)
        colours = values[..., :-1]
        if extras[0] == _MULTIPLIED:
            colours = divide_by_opacity(colours, opacity)
    stated = 0 if tag is None else int(np.max(tag.value))
    least_bits = count_bits(stated) if stated < full else count_bits(0)
    if photometric == _WHITE_IS_ZERO:
        black = full if bits < MOST_BITS else _find_black(colours, stated, white_if_open)
        return DeepPicture((black - np.minimum(colours, black)).astype(np.uint16), opacity, black)
    if bits < MOST_BITS:
        return DeepPicture(colours, opacity, full)
    return DeepPicture(colours, opacity, None, least_bits)


@contextmanager
def _open_page(content: bytes) -> Iterator[TiffPage]:
    from tifffile import TiffFile

    with TiffFile(io.BytesIO(content)) as file:
        page: Any = file.pages[0]
        yield page


def _find_bits(page: TiffPage) -> tuple[int, ...]:
    """Find the bits of each channel; one number if all are the same."""
    tag = page.tags.get("BitsPerSample")
    stated = np.atleast_1d(1 if tag is None else tag.value).tolist()
    return tuple(dict.fromkeys(stated))


def _is_deep(bits: tuple[int, ...], channels: int) -> bool:
    """Whether Pillow would truncate or misread the samples."""
    return bits[0] not in ((8, 4, 2, 1) if channels == 1 else (8,))


def _refuse_channels(channels: int, photometric: int, extras: tuple[int, ...]) -> None:
    colours = _COLOUR_CHANNELS.get(photometric)
    if colours is None:
        raise SamplesError(
            f"a TIFF of a kind that is not read (photometric interpretation {photometric}); "
            "convert it to grey or RGB"
        )
    if channels == colours:
        return
    has_opacity = extras in ((_MULTIPLIED,), (_STRAIGHT,)) and channels == colours + 1 < 5
    if not has_opacity:
        what = f" ({colours} for colour, none for opacity)"
        if channels < colours:
            what = f" (its tags need {colours} for colour)"
        elif set(extras) & {_MULTIPLIED, _STRAIGHT}:
            what = f" ({colours} for colour, one for opacity)"
        raise SamplesError(describe_channels(channels, what))


def _refuse_deep(bits: int, photometric: int, compression: int) -> None:
    if photometric not in _SHOWN_DEEP:
        raise SamplesError(
            f"{bits} bits per value, and neither grey nor RGB (photometric interpretation "
            f"{photometric}); convert it to grey or RGB"
        )
    if compression not in _LOSSLESS:
        raise SamplesError(
            f"{bits} bits per value, in a compression that is not read ({compression}); save "
            "it uncompressed, or with LZW or deflate"
        )


def _refuse_missing_parts(page: TiffPage, size: int) -> None:
    parts = zip(page.dataoffsets, page.databytecounts, strict=True)
    if any(not count or offset + count > size for offset, count in parts):
        raise SamplesError("damaged or cut off: part of its picture is missing")


def _find_black(colours: np.ndarray, stated: int, white_if_open: int | None) -> int:
    """Find the value of black if 0 is white; after inversion it becomes white."""
    largest = int(colours.max())
    if white_if_open is not None:
        return white_if_open if largest <= white_if_open else FULL_SCALE
    if largest <= stated < FULL_SCALE:
        return int(2 ** count_bits(stated) - 1)
    if count_bits(largest) == MOST_BITS:
        return FULL_SCALE
    raise SamplesError(
        f"0 is white in it, and its black is unknown: its values use {count_bits(largest)} of 16 "
        "bits. Set data.image.depth, or save it with 0 as black"
    )
