"""Videos made from moving shapes and noise, as files of every format."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from kft.config import VideoConfig
from kft.modalities import load_modality
from kft.modalities.checked import CheckOptions, FileContent
from kft.modalities.video.file_check import check_video
from kft.modalities.video.inspection import CheckedVideo

# Format of PyAV -> a codec of it that needs no other library.
CODECS = {"mp4": "libx264", "webm": "vp8", "avi": "mjpeg", "mov": "mpeg4", "matroska": "ffv1"}


def make_frames(count: int = 12, *, seed: int = 0, height: int = 48, width: int = 64) -> np.ndarray:
    """A bright square that moves to the right: uint8 (count, height, width, 3)."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 120, (6, 8, 3)).astype(np.uint8)
    behind = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    frames = np.repeat(behind[np.newaxis], count, axis=0).copy()
    top = int(random.integers(0, height - 16 + 1))
    for number, frame in enumerate(frames):
        left = round((width - 16) * number / max(1, count - 1))
        frame[top : top + 16, left : left + 16] = random.integers(180, 255, 3)
    return frames


def encode_video(
    frames: np.ndarray,
    form: str = "mp4",
    *,
    codec: str | None = None,
    rate: int = 10,
    options: dict[str, str] | None = None,
    with_sound: bool = False,
    aspect: tuple[int, int] | None = None,
) -> bytes:
    """Encode frames uint8 (frames, height, width, 3); none give a file without frames."""
    av = pytest.importorskip("av")
    content = io.BytesIO()
    with av.open(content, "w", format=form, options=options or {}) as container:
        codec = codec or {"webm": "libvpx"}.get(form, CODECS[form])
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000) if with_sound else None
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
        if sound is not None:
            silence = np.zeros((1, 8000 * len(frames) // rate), np.int16)
            heard = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
            heard.sample_rate = 8000
            container.mux(sound.encode(heard))
            container.mux(sound.encode())
    return content.getvalue()


def encode_sound(form: str = "matroska") -> bytes:
    """A file with a sound track alone."""
    av = pytest.importorskip("av")
    content = io.BytesIO()
    with av.open(content, "w", format=form) as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.ones((1, 4000), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return content.getvalue()


def encode_gif(frames: Sequence[np.ndarray], *, milliseconds: int = 100, **options) -> bytes:
    """An animated GIF of frames uint8 (height, width, 3), whose colours Pillow chooses."""
    pictures = [Image.fromarray(np.asarray(frame)) for frame in frames]
    content = io.BytesIO()
    pictures[0].save(
        content,
        "GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=milliseconds,
        **{"disposal": 1, **options},
    )
    return content.getvalue()


def write_frames(folder, frames: Sequence[np.ndarray], ending: str = ".png") -> None:
    """Write a folder of frames, numbered without zeros in front."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(np.asarray(frame)).save(folder / f"frame{number}{ending}")


def check(
    content: bytes, name: str = "a.mp4", settings: VideoConfig | None = None, **options
) -> CheckedVideo:
    """Check the content of a file as the gate does."""
    settings = settings or VideoConfig()
    load_modality("video").refuse_early(content[:4096], len(content), settings)
    digest = hashlib.sha256(content).hexdigest()
    file = FileContent(name, f"/data/{name}", content, digest, len(content), 0)
    return check_video(file, settings, CheckOptions(**options))
