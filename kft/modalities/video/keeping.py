"""Frames of a video on their way into the cache: thinned out, encoded, and seen in small."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from kft.config import VideoConfig
from kft.modalities.checked import FindFolder, UnusableError
from kft.modalities.video.frame_file import ENDING, FrameFile, VideoFacts, unpack_frames
from kft.modalities.video.measures import make_thumbnail
from kft.modalities.video.opened import OpenedVideo
from kft.runs.atomic import atomic_file
from kft.runs.caches import cache_folder

VERSION = 1  # counts changes of what a conversion gives
# With all colours: then a pixel differs from the decoded frame by 1 of 255 in the mean.
_QUALITY = 95
# Tolerance of times that are rounded to thousandths.
_EARLY_SECONDS = 2e-3


def keep_frames(video: OpenedVideo, settings: VideoConfig) -> FrameFile:
    """Decode a video from its beginning to its end, and encode the frames that are kept.

    Raises:
        UnusableError: It is damaged, cut off, too long, or has less than two frames.
    """
    rate = settings.frames_per_second
    encoded: list[bytes] = []
    thumbnails: list[np.ndarray] = []
    count, seconds = 0, None
    for picture, seconds in video.frames:
        count += 1
        if rate != "all" and seconds is not None and seconds < len(encoded) / rate - _EARLY_SECONDS:
            continue
        encoded.append(encode_picture(picture, is_exact=video.is_exact))
        thumbnails.append(make_thumbnail(picture))
    if not count:
        raise UnusableError("no frames can be decoded")
    if count == 1:
        raise UnusableError("a single frame, which is a picture; a video has at least two")
    if len(encoded) == 1:
        raise UnusableError(
            f"{seconds:.3g} s, of which data.video.frames_per_second={rate:g} keeps one frame"
        )
    facts = VideoFacts(
        video.encoding,
        video.width,
        video.height,
        num_frames=count,
        rate=video.rate or ((count - 1) / seconds if seconds else None),
        has_sound=video.has_sound,
        remarks=video.remarks,
    )
    return FrameFile(encoded, facts, np.stack(thumbnails))


def encode_picture(picture: Image.Image, *, is_exact: bool) -> bytes:
    """Encode a frame as PNG if it must stay exact, else as JPEG."""
    content = io.BytesIO()
    if is_exact:
        picture.save(content, "PNG", compress_level=1)
    else:
        picture.save(content, "JPEG", quality=_QUALITY, subsampling=0)
    return content.getvalue()


def describe_keeping(settings: VideoConfig) -> str:
    """Part of cache keys that says how frames are kept."""
    return f"{VERSION} {settings.kept_side} {settings.frames_per_second}"


def cached_videos() -> Path:
    """The folder of the cache for kept frames, for runs that come back to them."""
    return cache_folder("converted") / "videos"


def find_path(digest: str, settings: VideoConfig, find_folder: FindFolder) -> Path:
    """The path of the kept frames of a file, by its SHA-256 and the settings that keep them."""
    stated = f"{describe_keeping(settings)}\n{digest}\n"
    key = hashlib.sha256(stated.encode()).hexdigest()[:32]
    return find_folder() / key[:2] / f"{key}{ENDING}"


def read_kept(path: Path) -> FrameFile | None:
    """Read the frames that an earlier check kept; None if there are none, or if damaged."""
    try:
        kept = unpack_frames(path.read_bytes())
    except (OSError, UnusableError):
        return None
    return None if kept.facts is None else kept


def write_kept(path: Path, kept: FrameFile) -> None:
    """Write a file of frames, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(kept.pack())
