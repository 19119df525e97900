"""A video that is open for reading, whatever its format, and the limits that all formats share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from kft.config import VideoConfig
from kft.modalities.checked import UnusableError

# No camera takes more; a header that states more is damaged or made to take all memory.
MOST_RATE = 1_000.0


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        picture: RGB, upright, no larger than it is kept.
        seconds: Time from the first frame; None where the video states no times.
    """

    picture: Image.Image
    seconds: float | None


@dataclass(frozen=True)
class OpenedVideo:
    """A video whose header was read.

    Attributes:
        encoding: Of its frames.
        width: Width of a frame, upright, in pixels.
        height: Height of a frame.
        is_exact: Whether the frames are stored without loss, and are kept so.
        frames: The frames, each decoded when it is asked for. Raises `UnusableError` where the
            video is damaged, or at its end if it is cut off.
        rate: Frames per second; None where the frames tell it, or nothing does.
        has_sound: Whether it has a sound track.
        remarks: What is worth a word.
    """

    encoding: str
    width: int
    height: int
    is_exact: bool
    frames: Iterator[Frame]
    rate: float | None = None
    has_sound: bool = False
    remarks: tuple[str, ...] = ()


def refuse_large(width: int, height: int, settings: VideoConfig) -> None:
    """Refuse frames that have no size or too many pixels.

    Raises:
        UnusableError: It says how large they are.
    """
    if width < 1 or height < 1:
        raise UnusableError("damaged: its header states no size of the frames")
    if width * height > settings.max_megapixels * 1e6:
        raise UnusableError(
            f"frames of {width} x {height}, {width * height / 1e6:.3g} megapixels; at most "
            f"{settings.max_megapixels:g} are decoded (data.video.max_megapixels)"
        )


def refuse_long(seconds: float, settings: VideoConfig) -> None:
    """Refuse a video that is too long.

    Raises:
        UnusableError: It says how long it is.
    """
    if seconds > 60.0 * settings.max_minutes:
        raise UnusableError(
            f"{seconds / 60:.3g} minutes; at most {settings.max_minutes:g} are decoded "
            "(data.video.max_minutes)"
        )


def refuse_many(count: int, settings: VideoConfig) -> None:
    """Refuse more frames than the longest video has, where no times are stated.

    Raises:
        UnusableError: It says how many are allowed.
    """
    most = round(60.0 * settings.max_minutes * MOST_RATE)
    if count > most:
        raise UnusableError(
            f"more than {most:,} frames, those of {settings.max_minutes:g} minutes "
            "(data.video.max_minutes) at the highest rate"
        )


def find_kept_size(width: float, height: float, settings: VideoConfig) -> tuple[int, int]:
    """Width and height of frames as they are kept: the shorter side at most `kept_side`.

    >>> find_kept_size(1920, 1080, VideoConfig())
    (455, 256)
    """
    scale = min(1.0, settings.kept_side / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
