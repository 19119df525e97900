"""The content of one file: whether it is a video that can be used, as it is or as converted."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from kft.config import VideoConfig
from kft.modalities.checked import CheckOptions, FileContent, UnusableError
from kft.modalities.video.av_reading import open_by_av
from kft.modalities.video.containers import FRAMES, GIF, find_container
from kft.modalities.video.frame_file import FrameFile
from kft.modalities.video.inspection import CheckedVideo, Inspection
from kft.modalities.video.keeping import (
    cached_videos,
    find_path,
    keep_frames,
    read_kept,
    write_kept,
)
from kft.modalities.video.measures import fingerprint, is_blank, measure
from kft.modalities.video.picture_reading import open_frames, open_gif

WRONG_ENDING = "ending does not match the content"
# Endings -> the format that they promise.
_ENDINGS = {
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".3gp"), "MP4 or MOV"),
    **dict.fromkeys((".webm", ".mkv"), "WebM or Matroska"),
    **{".gif": GIF, ".avi": "AVI", ".flv": "FLV", ".wmv": "WMV", ".ogv": "OGG"},
    **dict.fromkeys((".mpg", ".mpeg"), "MPEG"),
}
# A GIF that is larger once decoded is converted, so that reading it takes little memory.
_LARGEST_GIF = 50_000_000


def check_video(file: FileContent, settings: VideoConfig, options: CheckOptions) -> CheckedVideo:
    """A file as a record, once it is sure that it is a video that can be used.

    It is decoded from its beginning to its end, once: what is kept of it serves later checks.

    Args:
        file: Its content; of its path the ending counts.
        settings: The `data.video` section.
        options: How closely it is looked at.

    Raises:
        UnusableError: It is no video that can be used.
    """
    container = find_container(file.content)
    place = find_path(file.digest, settings, options.find_folder or cached_videos)
    kept = read_kept(place)
    repaired: tuple[str, ...] = ()
    if kept is not None:
        repaired = _name_conversion(file, container)
    else:
        kept = _decode(file.content, container, settings)
        if not _is_read_directly(file, container, kept, settings):
            repaired = _name_conversion(file, container)
            write_kept(place, kept)
    assert kept.facts is not None and kept.thumbnails is not None
    known: dict[str, Any] = {
        "name": file.name,
        "path": file.path,
        "digest": file.digest,
        "size": file.size,
        "changed_ns": file.changed_ns,
        "format": container,
        "repaired": repaired,
        "noticed": (*kept.facts.remarks, *_find_remarks(container, file.path)),
        **{name: value for name, value in asdict(kept.facts).items() if name != "remarks"},
    }
    if repaired:
        status = place.stat()
        known |= {"path": str(place), "size": status.st_size, "changed_ns": status.st_mtime_ns}
    if options.with_likeness:
        known["likeness"] = fingerprint(kept.thumbnails)
    if not options.with_measures:
        return CheckedVideo(**known)
    return Inspection(**known, **asdict(measure(kept.thumbnails)))


def _decode(content: bytes, container: str, settings: VideoConfig) -> FrameFile:
    if container == GIF:
        video = open_gif(content, settings)
    elif container == FRAMES:
        video = open_frames(content, settings)
    else:
        video = open_by_av(content, container, settings)
    kept = keep_frames(video, settings)
    assert kept.thumbnails is not None
    if is_blank(kept.thumbnails):
        raise UnusableError("blank: every frame is the same plain colour")
    return kept


def _name_conversion(file: FileContent, container: str) -> tuple[str, ...]:
    if _is_folder(file.path):
        return ("folder of frames",)
    return (f"{container} that is large or unusual" if container in (GIF, FRAMES) else container,)


def _is_read_directly(
    file: FileContent, container: str, kept: FrameFile, settings: VideoConfig
) -> bool:
    """Tell whether the graph shows a file, as it is, as kft keeps it."""
    if _is_folder(file.path) or settings.frames_per_second != "all":
        return False
    if container == FRAMES:
        return file.content == FrameFile(kept.frames).pack()
    return container == GIF and _is_shown_alike(file.content, kept.frames)


def _is_folder(path: str) -> bool:
    """Tell whether a path is that of a folder; an example in memory has none."""
    return bool(path) and Path(path).is_dir()


def _is_shown_alike(content: bytes, frames: Sequence[bytes]) -> bool:
    """Tell whether the graph decodes a GIF to the frames that Pillow shows."""
    import tensorflow as tf

    first = _decode_picture(frames[0])
    if first.nbytes * len(frames) > _LARGEST_GIF:
        return False
    try:
        with tf.device("CPU"):
            shown = tf.io.decode_gif(content).numpy()
    except tf.errors.OpError:
        return False
    return shown.shape == (len(frames), *first.shape) and all(
        np.array_equal(picture, _decode_picture(frame))
        for picture, frame in zip(shown, frames, strict=True)
    )


def _decode_picture(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)))


def _find_remarks(container: str, path: str) -> Iterator[str]:
    promised = _ENDINGS.get(PurePath(path).suffix.lower())
    if promised is not None and promised != container and not _is_folder(path):
        yield WRONG_ENDING
