"""From the bytes of a file to a waveform of fixed length."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from recordings import make_tone, make_wav

from kft.modalities.audio.decoding import AudioDecoder


def decode(content: bytes, **options) -> np.ndarray:
    decoder = AudioDecoder(**{"rate": 16_000, "num_samples": 1600, **options})
    return tf.function(decoder, autograph=False)(tf.constant(content))["waveform"].numpy()


TONE = make_tone(seconds=0.05)
LONG = np.linspace(-0.9, 0.9, 16_000)


def test_a_recording_of_the_right_length_is_heard_as_it_is():
    np.testing.assert_allclose(decode(make_wav(LONG[:1600])), LONG[:1600], atol=1e-4)


def test_a_short_recording_is_repeated_or_followed_by_silence():
    repeated = decode(make_wav(TONE))
    np.testing.assert_allclose(repeated, np.tile(TONE, 2), atol=1e-4)
    padded = decode(make_wav(TONE), fill="silence")
    np.testing.assert_allclose(padded[:800], TONE, atol=1e-4)
    assert not padded[800:].any()


def test_of_a_long_recording_one_window_is_its_middle():
    np.testing.assert_allclose(decode(make_wav(LONG)), LONG[7200:8800], atol=1e-4)


def test_several_windows_are_spread_from_its_beginning_to_its_end():
    heard = decode(make_wav(LONG), num_windows=4)
    starts = [0, 5200, 10_400, 15_600]
    expected = np.concatenate([LONG[start : start + 400] for start in starts])
    np.testing.assert_allclose(heard, expected, atol=1e-4)


@pytest.mark.parametrize("num_windows", [1, 3])
@pytest.mark.parametrize("rate", [8000, 22_050, 44_100])
@pytest.mark.parametrize("seconds", [0.03, 0.1, 0.7])
def test_any_length_at_any_rate_gives_the_length_that_is_stated(rate, seconds, num_windows):
    heard = decode(make_wav(make_tone(rate=rate, seconds=seconds), rate), num_windows=num_windows)
    assert heard.shape == (1600,)
    assert heard.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


def test_a_batch_is_decoded_as_each_file_alone():
    decoder = AudioDecoder(16_000, 1600)
    contents = [make_wav(TONE), make_wav(LONG, 44_100, "PCM of 24 bits")]
    batch = tf.map_fn(decoder, tf.constant(contents), fn_output_signature=decoder.output)
    for content, row in zip(contents, batch["waveform"].numpy(), strict=True):
        assert np.array_equal(decode(content), row)


def test_a_file_that_is_no_wav_is_refused_in_the_graph():
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a WAV file"):
        decode(b"fLaC" + bytes(100))
