"""Files of frames: the form in which kft keeps a video, which the graph decodes.

A file is a line that names the form, and a `tf.train.Example` whose feature `frames` holds the
frames in order, each an encoded picture. What was found when the video was decoded is kept beside
them, so that no run decodes it again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from kft.modalities.checked import UnusableError
from kft.modalities.video.measures import SIDE

MAGIC = b"kft frames 1\n"
FRAMES, _FACTS, _THUMBNAILS = "frames", "facts", "thumbnails"
ENDING = ".frames"


@dataclass(frozen=True)
class VideoFacts:
    """Facts about a video that was decoded from its beginning to its end.

    Attributes:
        encoding: Of its frames: `h264`, `vp9`, `JPEG` …
        width: Width of a frame, upright, in pixels.
        height: Height of a frame.
        num_frames: Number of frames.
        rate: Frames per second; None where nothing tells it.
        has_sound: Whether it has a sound track.
        remarks: What is worth a word.
    """

    encoding: str
    width: int
    height: int
    num_frames: int
    rate: float | None
    has_sound: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameFile:
    """The content of a file of frames.

    Attributes:
        frames: The frames, encoded.
        facts: Facts about the video that they are of; None in a file that was not converted.
        thumbnails: Small grey copies of the frames, uint8 (frames, SIDE, SIDE); None as `facts`.
    """

    frames: Sequence[bytes]
    facts: VideoFacts | None = None
    thumbnails: np.ndarray | None = None

    def pack(self) -> bytes:
        """Make the content of the file."""
        import tensorflow as tf

        features = {FRAMES: list(self.frames)}
        if self.facts is not None and self.thumbnails is not None:
            features[_FACTS] = [json.dumps(asdict(self.facts)).encode()]
            features[_THUMBNAILS] = [self.thumbnails.tobytes()]
        example = tf.train.Example()
        for name, values in features.items():
            example.features.feature[name].bytes_list.value.extend(values)
        return MAGIC + bytes(example.SerializeToString(deterministic=True))


def unpack_frames(content: bytes) -> FrameFile:
    """Read the content of a file of frames.

    Raises:
        UnusableError: The file is damaged.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        example = tf.train.Example.FromString(content.removeprefix(MAGIC))
    except DecodeError:
        raise UnusableError("damaged or cut off: its frames cannot be listed") from None
    features = {name: each.bytes_list.value for name, each in example.features.feature.items()}
    frames = tuple(features.get(FRAMES, ()))
    if not {_FACTS, _THUMBNAILS} <= set(features):
        return FrameFile(frames)
    try:
        stated = json.loads(features[_FACTS][0])
        facts = VideoFacts(**{**stated, "remarks": tuple(stated["remarks"])})
        thumbnails = np.frombuffer(features[_THUMBNAILS][0], np.uint8)
        return FrameFile(frames, facts, thumbnails.reshape(len(frames), SIDE, SIDE))
    except (ValueError, TypeError, KeyError, IndexError):
        raise UnusableError("damaged: what it says of its frames cannot be read") from None
