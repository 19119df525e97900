"""Resampling in the graph, measured with tones."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from recordings import make_tone
from scipy.signal import resample_poly

from kft.modalities.audio.resampling import resample

RUN = tf.function(
    lambda samples, rate: resample(samples, rate, 16_000),
    input_signature=[tf.TensorSpec((None,)), tf.TensorSpec((), tf.int64)],
    autograph=False,
)


def run(samples: np.ndarray, rate: int) -> np.ndarray:
    return RUN(tf.constant(samples, tf.float32), tf.constant(rate, tf.int64)).numpy()


RATES = (8000, 11025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)


@pytest.mark.parametrize("rate", [*RATES, 22_254, 7_919])
def test_a_tone_keeps_its_pitch_level_and_phase(rate):
    resampled = run(make_tone(1000, rate=rate, seconds=0.25), rate)
    expected = make_tone(1000, rate=16_000, seconds=len(resampled) / 16_000)
    # At the ends the recording has no neighbours.
    inner = slice(200, -200)
    # What no small ratio of whole numbers gives is off by a hundred-thousandth of the time.
    atol = 1e-4 if rate in RATES else 1e-2
    np.testing.assert_allclose(resampled[inner], expected[inner], atol=atol)
    assert abs(len(resampled) - 4000) <= 1


def test_the_same_rate_changes_nothing():
    samples = make_tone().astype(np.float32)
    assert np.array_equal(run(samples, 16_000), samples)


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000])
def test_what_is_above_the_new_range_is_gone_and_not_folded_back(rate):
    resampled = run(make_tone(9_500, rate=rate, seconds=0.25), rate)
    assert np.abs(resampled[200:-200]).max() < 1e-4


def test_a_constant_stays_what_it_is():
    resampled = run(np.full(4410, 0.25), 44_100)
    np.testing.assert_allclose(resampled[200:-200], 0.25, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 7, 441, 442])
def test_recordings_of_any_length_are_resampled(size):
    assert len(run(np.ones(size), 44_100)) == -(-size * 160 // 441)


def test_it_agrees_with_scipy_within_the_range_of_both():
    random = np.random.default_rng(0)
    spectrum = np.fft.rfft(random.normal(size=8820)) * (np.fft.rfftfreq(8820, 1 / 44_100) < 5000)
    samples = np.fft.irfft(spectrum)
    expected = resample_poly(samples, 160, 441, window=("kaiser", 9.0))
    np.testing.assert_allclose(run(samples, 44_100)[200:-200], expected[200:-200], atol=1e-2)
