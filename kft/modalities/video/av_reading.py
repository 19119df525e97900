"""Videos that FFmpeg decodes, by way of PyAV: MP4, WebM, AVI and others."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from kft.config import VideoConfig
from kft.errors import first_line
from kft.modalities.checked import UnusableError
from kft.modalities.video.container_sizes import refuse_short
from kft.modalities.video.opened import (
    MOST_RATE,
    Frame,
    OpenedVideo,
    find_kept_size,
    refuse_large,
    refuse_long,
)

_INSTALL = "which needs PyAV: install it with `pip install 'kft[video]'`"
_MICROSECONDS = 1e6
# A container's duration may be rounded, and a sound track ends a little after the last frame.
_TOLERANCE, _SOUND_TOLERANCE = 0.05, 0.25
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


def open_by_av(content: bytes, container: str, settings: VideoConfig) -> OpenedVideo:
    """Open a video of any format that FFmpeg knows.

    Args:
        content: The whole file.
        container: Its format, for messages.
        settings: The `data.video` section.

    Raises:
        UnusableError: It is damaged, cut off, too large or without frames, or PyAV is not
            installed.
    """
    refuse_short(content)
    av = _import_av(container)
    try:
        opened = av.open(io.BytesIO(content), metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise UnusableError(f"damaged or cut off: {first_line(error)[:-1]}") from None
    # A cover is a picture beside a recording.
    streams = [each for each in opened.streams.video if not _is_cover(each)]
    if not streams:
        sound = "sound only, no frames" if opened.streams.audio else "no video track"
        opened.close()
        raise UnusableError(f"{container} with {sound}")
    video = _Video(opened, streams[0], settings)
    width, height = video.size
    return OpenedVideo(
        video.encoding,
        width,
        height,
        False,
        video.iterate(av),
        rate=video.rate,
        has_sound=video.has_sound,
        remarks=video.remarks,
    )


def _import_av(container: str) -> Any:
    try:
        import av
    except (ImportError, OSError) as error:
        raise UnusableError(f"{container}, {_INSTALL} ({first_line(error)[:-1]})") from None
    # Every problem is refused or noticed here; FFmpeg would print others.
    av.logging.set_level(None)
    return av


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)


@dataclass
class _Video:
    """One track of an open file."""

    opened: Any
    stream: Any
    settings: VideoConfig

    def __post_init__(self) -> None:
        context = self.stream.codec_context
        if context is None:
            raise UnusableError("its frames are of a codec that FFmpeg does not know")
        # FFmpeg would fill damaged frames from others.
        context.options = {"err_detect": "explode"}
        self.encoding = str(context.name)
        self.start = (self.opened.start_time or 0) / _MICROSECONDS
        self.tracks = [self.stream, *self.opened.streams.audio]
        self.has_sound = len(self.tracks) > 1
        self.stated_frames = int(self.stream.frames)
        self.rate = float(self.stream.average_rate or self.stream.base_rate or 0) or None
        refuse_large(context.width, context.height, self.settings)
        self.size = (context.width, context.height)
        aspect = float(context.sample_aspect_ratio or 1)
        # Width over height of a pixel; 0 or 100 are damage.
        self.aspect = aspect if 0.2 < aspect < 5 else 1.0
        self.stated_seconds = self._find_stated_seconds()
        if self.stated_seconds is not None:
            refuse_long(self.stated_seconds, self.settings)
        unknown = "states no duration, so that it would not show if its end were cut off"
        self.remarks = () if self.stated_seconds is not None else (unknown,)

    def _find_stated_seconds(self) -> float | None:
        if self.opened.duration:
            return float(self.opened.duration / _MICROSECONDS)
        if self.stream.duration and self.stream.time_base:
            return float(self.stream.duration * self.stream.time_base)
        return None

    def iterate(self, av: Any) -> Iterator[Frame]:
        """Decode the frames; their number is compared with what the header states."""
        count, packets, end = 0, 0, 0.0
        first: float | None = None
        most = round(60 * self.settings.max_minutes * MOST_RATE)
        try:
            for packet in self.opened.demux(*self.tracks):
                end = max(end, _find_end(packet))
                if packet.stream.index != self.stream.index:
                    continue
                packets += packet.size > 0
                for frame in packet.decode():
                    if packet.is_corrupt or frame.is_corrupt or count >= most:
                        raise UnusableError(f"damaged at frame {count + 1:,}")
                    time = frame.time if frame.time is not None else count / (self.rate or 25.0)
                    first = time if first is None else first
                    refuse_long(time - first, self.settings)
                    yield Frame(self._convert(frame), time - first)
                    count += 1
        except av.error.FFmpegError as error:
            reason = first_line(error)[:-1]
            raise UnusableError(f"damaged or cut off after {count:,} frames: {reason}") from None
        finally:
            self.opened.close()
        if count:
            self._refuse_cut(packets, end - self.start)

    def _refuse_cut(self, packets: int, end: float) -> None:
        if packets < self.stated_frames:
            raise UnusableError(
                f"cut off: its header promises {self.stated_frames:,} frames, the file holds "
                f"{packets:,}"
            )
        if self.stated_seconds is None:
            return
        sound = _SOUND_TOLERANCE if self.has_sound else 0.0
        missing = self.stated_seconds - end
        if missing > _TOLERANCE + sound + 1.5 / (self.rate or 25.0):
            raise UnusableError(
                f"cut off: its header promises {self.stated_seconds:.3g} s, the file ends after "
                f"{max(end, 0.0):.3g} s"
            )

    def _convert(self, frame: Any) -> Image.Image:
        """A frame as RGB: square pixels, no larger than it is kept, upright."""
        width, height = find_kept_size(self.size[0] * self.aspect, self.size[1], self.settings)
        picture: Image.Image = frame.to_image(width=width, height=height, interpolation="AREA")
        turn = _TURNS.get(round(frame.rotation) % 360)
        return picture if turn is None else picture.transpose(turn)


def _find_end(packet: Any) -> float:
    """Time at which a packet ends, in seconds; 0 where it is not stated."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)
