"""Augmentation of clips: one change for all frames, seeded starts, no mirror."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kft.config import VideoConfig
from kft.modalities import load_modality
from kft.modalities.video.augmentation import ClipJitter
from kft.modalities.video.modality import VideoModality

SEEDS = tf.constant([[1, 2], [3, 4], [1, 2]])


def make_clips(frames: int = 6) -> tf.Tensor:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (3, 1, 4, 4, 3))
    clips = np.repeat(coarse.repeat(4, axis=2).repeat(4, axis=3), frames, axis=1)
    return tf.constant(clips.astype(np.uint8))


@pytest.mark.parametrize("preset", ["light", "medium", "strong"])
def test_all_frames_of_a_clip_change_alike_by_its_own_seed(preset):
    jitter = load_modality("video").make_augmentation(preset)
    clips = make_clips()
    changed = jitter({"clip": clips}, SEEDS)["clip"].numpy()
    assert changed.shape == clips.shape and changed.dtype == np.float32
    assert np.array_equal(changed, np.repeat(changed[:, :1], 6, axis=1))
    again = jitter({"clip": clips[2:]}, SEEDS[2:])["clip"].numpy()
    assert np.array_equal(again[0], changed[2])
    assert not np.array_equal(changed[0], clips[0])
    assert changed.min() >= 0 and changed.max() <= 255


def test_a_clip_starts_at_any_of_the_spare_frames():
    jitter = load_modality("video").make_augmentation("start", VideoConfig(spare=3))
    assert jitter == ClipJitter(spare=3)
    numbers = tf.reshape(tf.range(7, dtype=tf.float32), (1, 7, 1, 1, 1))
    seeds = tf.constant([[seed, 0] for seed in range(60)])
    starts = set()
    shown = jitter({"clip": tf.repeat(numbers, 60, axis=0)}, seeds)["clip"]
    for clip in shown.numpy()[:, 1:5, 0, 0, 0]:
        # What the model reads follows each other, as in the video.
        assert np.array_equal(np.diff(clip), [1, 1, 1])
        starts.add(int(clip[0]))
    assert starts == {0, 1, 2, 3}


def test_no_preset_mirrors_a_clip():
    ramp = tf.tile(tf.reshape(tf.linspace(0.0, 200.0, 16), (1, 1, 1, 16, 1)), (6, 2, 16, 1, 3))
    seeds = tf.constant([[seed, 1] for seed in range(6)])
    for preset in VideoModality.augmentations:
        jitter = load_modality("video").make_augmentation(preset)
        shown = ramp if jitter is None else jitter({"clip": ramp}, seeds)["clip"]
        middle = shown.numpy().mean(axis=(1, 2, 4))[:, 4:12]
        assert (middle[:, -1] > middle[:, 0]).all(), preset
