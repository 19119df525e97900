"""Changes of recordings: each does what it says, and depends on the seed of the example alone."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from recordings import make_speech, make_tone

from kft.config import AudioConfig
from kft.data.batches.pipeline import example_seeds
from kft.modalities import load_modality
from kft.modalities.audio.augmentation import AudioJitter

PRESETS = [name for name in load_modality("audio").augmentations if name != "none"]
WAVEFORMS = np.stack([make_speech(seed, seconds=0.25) for seed in range(6)]).astype(np.float32)


def change(augmentation, waveforms=WAVEFORMS, indices=None, *, seed: int = 0) -> np.ndarray:
    indices = np.arange(len(waveforms)) if indices is None else indices
    seeds = example_seeds(seed, 0, tf.constant(indices))
    inputs = {"waveform": tf.constant(waveforms[indices], tf.float32)}
    return tf.function(augmentation, autograph=False)(inputs, seeds)["waveform"].numpy()


def test_the_settings_name_the_presets_that_there_are():
    named = get_args(AudioConfig.model_fields["augmentation"].annotation)
    assert set(named) == {*PRESETS, "none"}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_depends_on_seed_and_example_alone(preset):
    augmentation = load_modality("audio").make_augmentation(preset)
    changed = change(augmentation)
    assert changed.shape == WAVEFORMS.shape and changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert not np.isclose(changed, WAVEFORMS).all(axis=1).any()
    order = np.array([4, 0, 3])
    assert np.array_equal(change(augmentation, indices=order), changed[order])
    assert not np.array_equal(change(augmentation, seed=1), changed)


def test_a_shift_is_as_large_as_it_says_and_loses_nothing():
    ramp = np.tile(np.arange(1000, dtype=np.float32), (50, 1))
    changed = change(AudioJitter(shift=0.1), ramp)
    shifts = (changed[:, 0] + 500) % 1000 - 500
    assert np.abs(shifts).max() <= 100 and np.abs(shifts).max() > 50
    assert np.array_equal(np.sort(changed, axis=1), ramp)


def test_the_level_changes_by_no_more_than_it_says():
    tones = np.tile(make_tone(), (50, 1))
    factors = np.abs(change(AudioJitter(decibels=6.0), tones)).max(axis=1) / 0.5
    assert 0.5 <= factors.min() < 0.7 and 1.5 < factors.max() <= 2.0


def test_noise_is_as_soft_as_it_says():
    tones = np.tile(make_tone(), (50, 1)).astype(np.float32)
    noise = change(AudioJitter(noise=15.0), tones) - tones
    ratios = 20 * np.log10(tones.std() / noise.std(axis=1))
    assert 14.5 < ratios.min() < 20 and 30 < ratios.max() < 35.5


def test_a_masked_stretch_is_silent_and_the_rest_is_kept():
    ones = np.ones((50, 1000), np.float32)
    changed = change(AudioJitter(time_masks=1, longest_mask=0.2), ones)
    assert set(np.unique(changed)) == {0.0, 1.0}
    silent = 1000 - changed.sum(axis=1)
    assert silent.max() <= 201 and silent.max() > 100
    assert (np.abs(np.diff(changed, axis=1)).sum(axis=1) <= 2).all()


def test_a_masked_band_loses_its_frequencies_alone():
    noise = np.random.default_rng(0).normal(size=(50, 1000)).astype(np.float32)
    changed = change(AudioJitter(band_masks=1, longest_mask=0.2), noise)
    before, after = (np.abs(np.fft.rfft(values, axis=1)) for values in (noise, changed))
    is_gone = after < 1e-3
    np.testing.assert_allclose(after[~is_gone], before[~is_gone], rtol=1e-2)
    assert (np.abs(np.diff(is_gone.astype(int), axis=1)).sum(axis=1) <= 2).all()
    assert is_gone.any(axis=1).mean() > 0.8
