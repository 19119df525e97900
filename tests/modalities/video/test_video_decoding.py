"""Clips of videos: which frames, and what they look like."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from videos import encode_gif, make_frames

from kft.config import VideoConfig
from kft.modalities import load_modality
from kft.modalities.video.decoding import VideoDecoder
from kft.modalities.video.frame_file import FrameFile
from kft.modalities.video.input_spec import VideoSpec
from kft.modalities.video.keeping import encode_picture


def pack(frames: np.ndarray) -> bytes:
    encoded = [encode_picture(Image.fromarray(frame), is_exact=True) for frame in frames]
    return FrameFile(encoded).pack()


@pytest.mark.parametrize(
    ("frames", "stride", "count", "places"),
    [
        (4, None, 4, [0, 1, 2, 3]),
        (4, None, 8, [1, 3, 5, 7]),
        (4, None, 2, [0, 0, 1, 1]),
        (3, None, 10, [1, 5, 8]),
        (3, 1, 9, [3, 4, 5]),
        (3, 3, 9, [1, 4, 7]),
        (4, 2, 5, [0, 2, 4, 4]),
        (2, 50, 1, [0, 0]),
    ],
)
def test_a_clip_is_spread_over_the_video_or_stands_in_its_middle(frames, stride, count, places):
    decoder = VideoDecoder(frames, 8, 8, stride)
    assert decoder.choose_places(tf.constant(count)).numpy().tolist() == places


@pytest.mark.parametrize("encode", [pack, encode_gif], ids=["frames", "gif"])
def test_frames_and_animated_gifs_become_the_same_clip(encode):
    frames = make_frames(6, height=16, width=16)
    decoder = VideoDecoder(3, 16, 16, stride=2)
    clip = decoder(tf.constant(encode(frames)))["clip"].numpy()
    # A GIF has 256 colours.
    assert np.abs(clip.astype(int) - frames[[0, 2, 4]]).max() <= (0 if encode is pack else 24)
    small = VideoDecoder(2, 8, 8)(tf.constant(encode(frames)))["clip"]
    assert small.shape == (2, 8, 8, 3) and small.dtype == tf.uint8


def test_other_bytes_are_refused_in_the_graph():
    with pytest.raises(tf.errors.InvalidArgumentError, match="neither an animated GIF nor"):
        VideoDecoder(2, 8, 8)(tf.constant(b"\0\0\0\x18ftypmp42"))


def test_the_settings_decide_the_decoder():
    video = load_modality("video")
    settings = VideoConfig(stride=2, spare=4, resize="crop")
    spec = video.fit_spec(VideoSpec(8, 24, 32, "unit"), settings, None)
    assert spec.elements["clip"].shape == (12, 24, 32, 3) and str(spec) == "8 frames of 24 x 32"
    assert video.make_decoder(spec, settings) == VideoDecoder(12, 24, 32, 2, "crop")
    assert video.make_decoder(spec, VideoConfig()).stride is None


def test_a_backbone_of_larger_frames_than_are_kept_is_refused():
    from kft.errors import ConfigError

    with pytest.raises(ConfigError, match=r"data.video.kept_side: found 128.*at least 224"):
        load_modality("video").fit_spec(VideoSpec(8, 224, 224), VideoConfig(kept_side=128), None)
