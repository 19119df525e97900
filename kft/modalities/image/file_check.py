"""Check of one picture file: usable as it is, usable once converted, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.config import ImageConfig
from kft.config.modality_sections import Background
from kft.errors import first_line
from kft.modalities.checked import (
    CheckOptions,
    FileContent,
    FindFolder,
    TrainedCalibration,
    UnusableError,
)
from kft.modalities.image.conversion import (
    ConversionError,
    Converted,
    cached_pictures,
    convert,
    keep_converted,
)
from kft.modalities.image.depth import find_excess
from kft.modalities.image.exif import UPRIGHT
from kft.modalities.image.header_record import ANIMATED, Header, HeaderError
from kft.modalities.image.headers import read_header
from kft.modalities.image.inspection import CheckedPicture, Inspection
from kft.modalities.image.jpeg import find_jpeg_end
from kft.modalities.image.samples import MOST_BITS, Samples
from kft.modalities.image.strangers import is_text, refuse_stranger
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

# Ending -> formats that it stands for.
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
# JPEG decoders round differently, most where chroma is subsampled; decoders of other formats are
# exact, except for one step when transparency is mixed with the background.
_LARGEST_DIFFERENCE = {"JPEG": 16, "MPO": 16}
# Value that libjpeg fills in after the end of truncated data.
_MISSING = 128
# Bytes without a marker, to feed to a decoder that lacks data.
_FILLER = bytes(range(1, 201)) * 200


@dataclass(frozen=True)
class ImageReport:
    """Result of the inspection of a file's content.

    Attributes:
        header: Header of the picture, read without decoding it.
        converted: Converted file to read in its place, if any.
        repaired: Reasons for the conversion.
        noticed: Other remarks.
        likeness: Perceptual hash, if requested and the picture is not too plain.
        measures: Measures of its thumbnail, if requested; relative to its own white.
        samples: Samples of a picture of more than 8 bits; None for others.
    """

    header: Header
    converted: Path | None = None
    repaired: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    likeness: int | None = None
    measures: Measures | None = None
    samples: Samples | None = None


def check_picture(
    file: FileContent, settings: ImageConfig, options: CheckOptions
) -> CheckedPicture:
    """Check a file, and return the record of a usable picture.

    Raises:
        UnusableError: The file is not a usable picture.
    """
    report = inspect_image(file, settings, options)
    path, size, changed_ns = file.path, file.size, file.changed_ns
    if report.converted is not None:
        status = report.converted.stat()
        path, size, changed_ns = str(report.converted), status.st_size, status.st_mtime_ns
    known: dict[str, Any] = {
        "name": file.name,
        "path": path,
        "digest": file.digest,
        "size": size,
        "changed_ns": changed_ns,
        "format": report.header.format,
        "mode": report.header.mode,
        "width": report.header.width,
        "height": report.header.height,
        "orientation": report.header.orientation,
        "repaired": report.repaired,
        "noticed": report.noticed,
        "likeness": report.likeness,
        "samples": report.samples,
    }
    if report.measures is None:
        return CheckedPicture(**known)
    return Inspection(**known, **asdict(report.measures))


def inspect_image(file: FileContent, settings: ImageConfig, options: CheckOptions) -> ImageReport:
    """Inspect a file, and convert it if the decoder in the graph would show it wrongly.

    Args:
        file: Content of the file, and its path, of which only the ending matters.
        settings: The `data.image` section.
        options: Thoroughness of the check.

    Raises:
        UnusableError: The file is not a usable picture.
    """
    content = file.content
    refuse_stranger(content)
    header = _read_header(content, settings)
    meant: Converted | None = None
    repaired: tuple[str, ...] = ()
    if not header.looks_whole:
        meant = _convert(content, header, settings, options.trained)
        repaired = _find_repairs(content, header, settings.background, meant)
    elif options.decode:
        _refuse_starved(content, header, _decode(content, settings.background))
    samples = meant.deep.samples if meant and meant.deep else None
    likeness, measures = None, None
    if options.with_likeness or options.with_measures:
        side = MEASURED_SIDE if options.with_measures else HASHED_SIDE
        thumbnail = _make_thumbnail(content, header, meant, settings.background, side)
        likeness = hash_look(thumbnail) if options.with_likeness else None
        measures = measure(thumbnail) if options.with_measures else None
    return ImageReport(
        header,
        _keep(meant, file.digest, settings, options.find_folder) if meant and repaired else None,
        repaired,
        (*header.noticed, *_find_remarks(header, file.path)),
        likeness,
        measures,
        samples,
    )


def _keep(
    meant: Converted, digest: str, settings: ImageConfig, find_folder: FindFolder | None
) -> Path:
    """Write the file to read in place of the picture, and return its path."""
    # A file of more than 8 bits has a different conversion for each white.
    white = f"{meant.deep.white} {settings.depth}" if meant.deep else ""
    return keep_converted(
        meant.kept, digest, settings.background, find_folder or cached_pictures, white
    )


def _read_header(content: bytes, settings: ImageConfig) -> Header:
    try:
        header = read_header(content)
    except HeaderError as error:
        what = "a text, not a picture" if is_text(content) else str(error)
        raise UnusableError(what) from None
    if header.width * header.height > settings.max_megapixels * 1_000_000:
        raise UnusableError(
            f"{header.width} x {header.height} pixels; at most {settings.max_megapixels:g} "
            "megapixels are decoded (data.image.max_megapixels)"
        )
    return header


def _convert(
    content: bytes, header: Header, settings: ImageConfig, trained: TrainedCalibration | None
) -> Converted:
    """Convert a picture to its intended appearance."""
    set_depth = None if settings.depth == "auto" else settings.depth
    try:
        meant = convert(
            content,
            header,
            settings.background,
            set_depth=set_depth,
            known_depth=None if trained is None else trained.value,
        )
    except ConversionError as error:
        raise UnusableError(str(error)) from None
    excess = find_excess(meant.deep.samples, set_depth, trained) if meant.deep else ""
    if excess:
        raise UnusableError(excess)
    return meant


def _find_repairs(
    content: bytes, header: Header, background: Background, meant: Converted
) -> tuple[str, ...]:
    """Find the reasons why the graph would show a picture wrongly; empty if there are none."""
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
    """Decode as training and serving do: uint8 (height, width, 3)."""
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
    # Decoders raise all kinds of errors on invalid bytes.
    except Exception as error:
        raise UnusableError(f"damaged: {first_line(error)[:-1]}") from None
    _refuse_starved(content, header, np.asarray(small))
    return shrink(small, header.orientation, side=side)


def _refuse_starved(content: bytes, header: Header, shown: np.ndarray) -> None:
    """Refuse a JPEG that has an end mark but lacks part of its data.

    Decoders silently fill the missing part with grey. If a corner has this grey, the check adds
    data before the end mark: they change the picture only if data are missing.
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
        raise UnusableError("cut off: a JPEG with an end mark, but without part of its picture")


def _find_remarks(header: Header, path: str) -> Iterator[str]:
    if header.orientation != UPRIGHT:
        yield "turned upright according to EXIF"
    promised = _ENDINGS.get(PurePath(path).suffix.lower())
    if promised is not None and header.format not in promised:
        yield WRONG_ENDING
