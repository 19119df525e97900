"""Spectrograms: the same as TensorFlow's own, and YAMNet's."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from recordings import make_speech, make_tone

from kft.modalities.audio.front_end import LogMel, MelPicture


def compute_reference(waveform: np.ndarray) -> np.ndarray:
    """YAMNet's log-mel spectrogram by tf.signal, in float64: (frames, 64)."""
    frames = tf.signal.stft(
        tf.constant(waveform, tf.float64), frame_length=400, frame_step=160, fft_length=512
    )
    weights = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125.0, 7500.0, tf.float64)
    return tf.math.log(tf.abs(frames) @ weights + 0.001).numpy()


WAVEFORM = make_speech(seconds=0.975)


def test_log_mel_is_that_of_tensorflow_and_not_centred():
    spectrogram = LogMel()(WAVEFORM[np.newaxis].astype(np.float32)).numpy()
    assert spectrogram.shape == (1, 96, 64, 1)
    np.testing.assert_allclose(spectrogram[0, :, :, 0], compute_reference(WAVEFORM), atol=5e-4)


def test_a_tone_is_brightest_in_its_band():
    tone = make_tone(1000, seconds=0.5)
    spectrogram = LogMel()(tone[np.newaxis].astype(np.float32)).numpy()[0, :, :, 0]
    edges = 700 * (np.exp(np.linspace(np.log1p(125 / 700), np.log1p(7500 / 700), 66)) - 1)
    band = int(np.argmin(np.abs(edges[1:-1] - 1000)))
    assert (spectrogram.argmax(axis=1) == band).all()


@pytest.mark.parametrize("layer", [LogMel(), MelPicture(16_000, 32)], ids=["log_mel", "picture"])
def test_a_front_end_has_no_weights_and_is_rebuilt_from_its_configuration(layer):
    inputs = WAVEFORM[np.newaxis].astype(np.float32)
    expected = layer(inputs).numpy()
    assert layer.variables == []
    rebuilt = type(layer).from_config(layer.get_config())
    assert np.array_equal(rebuilt(inputs).numpy(), expected)
    assert layer.compute_output_shape(inputs.shape) == expected.shape
    symbolic = layer(keras.Input((None,)))
    assert symbolic.shape == (None, None, *expected.shape[2:])


def test_a_front_end_computes_in_float32_under_a_mixed_policy():
    inputs = WAVEFORM[np.newaxis].astype(np.float32)
    expected = LogMel()(inputs).numpy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert np.array_equal(LogMel()(inputs).numpy(), expected)
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_picture_is_black_in_silence_and_has_three_equal_channels():
    layer = MelPicture(16_000, 32)
    silent = layer(np.zeros((1, 4000), np.float32)).numpy()
    assert silent.max() < 1e-3
    loud = layer(make_tone(1000, level=1.0)[np.newaxis].astype(np.float32)).numpy()
    assert 200 < loud.max() <= 255
    assert np.array_equal(loud[..., 0], loud[..., 2])
