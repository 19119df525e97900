"""Record of a checked video."""

from __future__ import annotations

from dataclasses import dataclass

from kft.modalities.checked import Checked


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedVideo(Checked):
    """A video that can be used.

    Attributes:
        format: By content: `MP4 or MOV`, `WebM or Matroska`, `GIF`, `frames` …
        encoding: Of its frames: `h264`, `vp9`, `JPEG` …
        width: Width of a frame, upright, in pixels.
        height: Height of a frame.
        num_frames: Number of frames.
        rate: Frames per second; None for a folder of frames, which states none.
        has_sound: Whether it has a sound track, which is not used.
    """

    format: str
    encoding: str
    width: int
    height: int
    num_frames: int
    rate: float | None
    has_sound: bool

    @property
    def seconds(self) -> float | None:
        """Duration; None where the rate is not stated."""
        return None if self.rate is None else self.num_frames / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(CheckedVideo):
    """A video that can be used, and what its frames show.

    Attributes:
        brightness: Mean of all frames, from 0 (black) to 255.
        motion: Mean change from one frame to the next, on the same scale.
        frozen_share: Share of the frames that equal the one before.
        black_share: Share of the frames that are black, or nearly.
    """

    brightness: float
    motion: float
    frozen_share: float
    black_share: float
