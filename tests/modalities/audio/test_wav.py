"""WAV files of every number format and form, in the graph and by their headers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from recordings import ENCODINGS, chunk, make_speech, make_wav

from kft.modalities.audio.file_check import decode_wav
from kft.modalities.audio.wav_header import WavError, read_wav_header

SAMPLES = make_speech(seconds=0.05)
STEREO = np.stack([SAMPLES, SAMPLES[::-1]], axis=1)
# Half a step of the coarsest number, and of what 127 for 128 makes of it.
TOLERANCE = {"PCM of 8 bits": 0.01}


@pytest.mark.parametrize("is_extensible", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_number_format_is_decoded_and_mixed_down(encoding, is_extensible):
    content = make_wav(STEREO, 44_100, encoding, is_extensible=is_extensible)
    decoded = decode_wav(content)
    assert decoded.dtype == np.float32
    atol = TOLERANCE.get(encoding, 1e-4)
    np.testing.assert_allclose(decoded, STEREO.mean(axis=1), atol=atol)
    header = read_wav_header(content)
    assert (header.encoding, header.channels, header.rate) == (encoding, 2, 44_100)
    assert header.num_frames == len(SAMPLES) and header.is_usual


@pytest.mark.parametrize(
    "options",
    [
        {"before": chunk(b"LIST", b"INFOISFT\x05\0\0\0kft!\0\0")},
        {"before": chunk(b"odd ", b"123")},
        {"after": chunk(b"id3 ", bytes(300))},
        {"after": b"trailing bytes of no chunk"},
        {"stated_bytes": 0},
        {"stated_bytes": 0xFFFFFFFF},
        {"stated_bytes": 0x7FFFFFFF - 36},
    ],
    ids=["list", "odd", "id3", "trailing", "open", "pipe", "sox"],
)
def test_other_chunks_and_open_ends_do_not_disturb(options):
    content = make_wav(SAMPLES, **options)
    np.testing.assert_allclose(decode_wav(content), SAMPLES, atol=1e-4)
    assert read_wav_header(content).num_frames == len(SAMPLES)


def test_a_file_of_more_than_4_gigabytes_in_form_is_read():
    content = make_wav(SAMPLES, before=chunk(b"ds64", bytes(28)), stated_bytes=0xFFFFFFFF)
    decoded = decode_wav(b"RF64" + content[4:])
    np.testing.assert_allclose(decoded, SAMPLES, atol=1e-4)


WHOLE = make_wav(SAMPLES)
BAD = {
    "cut off": (WHOLE[:-2], "cut off: its header promises 1,600 bytes"),
    "without samples": (WHOLE[:36], "a WAV file without samples"),
    "empty": (make_wav(SAMPLES[:0]), "a WAV file without samples"),
    "no format": (WHOLE[:12] + WHOLE[36:], "without a format before its samples"),
    "no channels": (WHOLE[:22] + bytes(2) + WHOLE[24:], "damaged: its header says 0 channels"),
    "no rate": (WHOLE[:24] + bytes(4) + WHOLE[28:], "at 0 Hz"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD)
def test_what_is_damaged_is_refused_by_header_and_graph(content, reason):
    with pytest.raises(WavError, match=reason):
        read_wav_header(content)
    reason = r"(?s)cut off|without samples|without a format|unknown number format"
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
        decode_wav(content)


def test_an_unusual_number_format_is_left_to_another_decoder():
    mu_law = WHOLE[:20] + b"\x07\0" + WHOLE[22:]
    header = read_wav_header(mu_law)
    assert (header.encoding, header.is_usual) == ("mu-law", False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="unknown number format"):
        decode_wav(mu_law)


def test_the_plainest_file_is_read_as_tensorflow_reads_it():
    expected, rate = tf.audio.decode_wav(WHOLE)
    assert np.array_equal(decode_wav(WHOLE), expected.numpy()[:, 0])
    assert int(rate) == read_wav_header(WHOLE).rate
