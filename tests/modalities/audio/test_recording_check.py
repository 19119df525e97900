"""Files of sound: used as they are, converted once, or refused with the reason."""

from __future__ import annotations

import hashlib
import io
import sys

import numpy as np
import pytest
from recordings import ENCODINGS, make_speech, make_tone, make_wav

from kft.config import AudioConfig
from kft.modalities import load_modality
from kft.modalities.audio.conversion import encode_wav
from kft.modalities.audio.file_check import WRONG_ENDING, check_recording, decode_wav
from kft.modalities.audio.inspection import CheckedRecording, Inspection
from kft.modalities.checked import CheckOptions, FileContent, UnusableError

SPEECH = make_speech(seconds=0.6)
WAV = make_wav(SPEECH)


def check(
    content: bytes, name: str = "a.wav", settings: AudioConfig | None = None, **options
) -> CheckedRecording:
    settings = settings or AudioConfig()
    load_modality("audio").refuse_early(content[:4096], len(content), settings)
    digest = hashlib.sha256(content).hexdigest()
    file = FileContent(name, f"/data/{name}", content, digest, len(content), 0)
    return check_recording(file, settings, CheckOptions(**options))


def encode(samples: np.ndarray, rate: int, container: str, subtype: str | None = None) -> bytes:
    soundfile = pytest.importorskip("soundfile")
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format=container, subtype=subtype)
    return content.getvalue()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_usual_wav_is_used_as_it_is(encoding):
    checked = check(make_wav(SPEECH, 22_050, encoding))
    assert checked.path == "/data/a.wav" and not checked.repaired and not checked.noticed
    assert (checked.format, checked.encoding, checked.rate) == ("WAV", encoding, 22_050)
    assert checked.seconds == pytest.approx(len(SPEECH) / 22_050)


CONVERTED = {
    "FLAC": (("FLAC", "PCM_16"), "a.flac", "FLAC"),
    "Vorbis": (("OGG", "VORBIS"), "a.ogg", "OGG"),
    "Opus": (("OGG", "OPUS"), "a.opus", "OGG"),
    "MP3": (("MP3", "MPEG_LAYER_III"), "a.mp3", "MP3"),
    "AIFF": (("AIFF", "PCM_24"), "a.aiff", "AIFF"),
    "AU": (("AU", "PCM_16"), "a.au", "AU"),
    "mu-law": (("WAV", "ULAW"), "a.wav", "WAV with mu-law"),
    "ADPCM": (("WAV", "IMA_ADPCM"), "a.wav", "WAV with IMA ADPCM"),
}


@pytest.mark.parametrize(("form", "name", "reason"), CONVERTED.values(), ids=CONVERTED)
def test_what_the_graph_does_not_decode_is_converted_once(form, name, reason, caches):
    stereo = np.stack([SPEECH, SPEECH], axis=1)
    encoded = encode(stereo, 16_000, *form)
    checked = check(encoded, name)
    assert checked.repaired == (reason,) and checked.noticed == ("2 channels mixed down",)
    assert checked.path.startswith(str(caches)) and checked.path.endswith(".wav")
    with open(checked.path, "rb") as file:
        content = file.read()
    assert checked.size == len(content)
    decoded = decode_wav(content)
    size = min(len(decoded), len(SPEECH))
    assert np.corrcoef(decoded[:size], SPEECH[:size])[0, 1] > 0.95 or form[0] == "MP3"
    before = (checked.changed_ns, list(caches.rglob("*.wav")))
    again = check(encoded, name)
    assert (again.changed_ns, list(caches.rglob("*.wav"))) == before


BAD = {
    "empty": (b"", "the file is empty"),
    "a web page": (b"<!DOCTYPE html><html>", "an HTML page"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "an archive": (b"PK\x03\x04" + bytes(50), "a ZIP archive"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "a picture, not a recording"),
    "notes": (b"MThd" + bytes(50), "a MIDI file"),
    "a text": (b"hello, world", "no format of sound that is known"),
    "M4A": (b"\0\0\0\x20ftypM4A " + bytes(50), "M4A or MP4, which is not decoded; convert"),
    "WMA": (b"\x30\x26\xb2\x75" + bytes(50), "WMA, which is not decoded; convert"),
    "AAC": (b"\xff\xf1" + bytes(50), "AAC, which is not decoded; convert"),
    "AMR": (b"#!AMR\n" + bytes(50), "AMR, which is not decoded; convert"),
    "a film": (b"\x1aE\xdf\xa3" + bytes(50), "WebM or Matroska, which is not decoded"),
    "the other byte order": (b"RIFX" + WAV[4:], "the other byte order"),
    "half a header": (WAV[:30], "cut off or damaged"),
    "a video": (b"RIFF" + bytes(4) + b"AVI " + bytes(50), "a RIFF file of another kind"),
    "cut off": (WAV[:-100], "cut off: its header promises"),
    "no samples": (make_wav(SPEECH[:0]), "a WAV file without samples"),
    "silent": (make_wav(np.zeros(8000)), "silent: all samples are the same"),
    "a constant": (make_wav(np.full(8000, 0.25)), "silent: all samples are the same"),
    "not numbers": (
        make_wav(np.append(SPEECH, np.nan), encoding="float of 32 bits"),
        "not finite numbers",
    ),
    "too long": (make_wav(make_tone(seconds=4)), "0.0667 minutes; at most 0.05 are decoded"),
    "too large": (b"RIFF\0\0\0\0WAVE" + bytes(20_000_000), "the most that are decoded"),
}


def test_at_least_20_kinds_of_bad_files_are_listed():
    assert len(BAD) >= 20


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD)
def test_what_cannot_be_used_is_refused_with_the_reason(content, reason):
    with pytest.raises(UnusableError, match=reason):
        check(content, settings=AudioConfig(max_minutes=0.05))


@pytest.mark.parametrize(
    "form",
    [
        *(("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("AIFF", "PCM_16")),
        *(("AU", "PCM_16"), ("W64", "PCM_16"), ("WAV", "ULAW"), ("MP3", "MPEG_LAYER_III")),
    ],
)
def test_a_compressed_file_that_is_cut_off_is_refused(form):
    content = encode(make_speech(seconds=3), 16_000, *form)
    with pytest.raises(UnusableError, match=r"cut off"):
        check(content[: len(content) // 2], "a.x")


def test_a_damaged_compressed_file_is_refused():
    content = encode(SPEECH, 16_000, "FLAC")
    with pytest.raises(UnusableError, match=r"damaged|cut off"):
        check(content[:60] + bytes(len(content) - 60), "a.flac")


def test_without_soundfile_the_message_says_how_to_install_it(monkeypatch):
    content = encode(SPEECH, 16_000, "FLAC")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UnusableError, match=r"FLAC, which needs soundfile.*kft\[audio\]"):
        check(content, "a.flac")


def test_what_is_worth_a_word_is_noticed():
    assert check(WAV, "a.mp3").noticed == (WRONG_ENDING,)
    long = check(make_wav(make_tone(seconds=2)), settings=AudioConfig(seconds=1.5))
    assert long.noticed == ("longer than 1.5 s, heard in windows",)


def test_a_conversion_that_clips_is_noticed():
    loud = encode(3 * SPEECH / np.abs(SPEECH).max(), 16_000, "AIFF", "FLOAT")
    assert check(loud, "a.aiff").noticed == ("louder than full scale, clipped in the copy",)


def test_a_recording_is_measured_where_it_is_asked_for():
    clipped = np.clip(3 * make_tone(seconds=1), -0.999, 0.999)
    loud = check(make_wav(clipped), with_measures=True)
    assert isinstance(loud, Inspection)
    assert loud.clipped_share > 0.3 and loud.peak > 0.99 and -3 < loud.loudness < 0
    half = np.concatenate([make_tone(seconds=0.5), np.zeros(8000)])
    quiet = check(make_wav(half, encoding="float of 32 bits"), with_measures=True)
    assert quiet.quiet_share == pytest.approx(0.5) and quiet.clipped_share == 0
    assert quiet.bandwidth < 1000
    assert not isinstance(check(WAV), Inspection)


def test_samples_survive_the_wav_that_is_written():
    values = np.array([-1.0, -0.5, 0.0, 0.5, 32767 / 32768, 2.0])
    decoded = decode_wav(encode_wav(values, 8000))
    assert np.array_equal(decoded, np.minimum(values, 32767 / 32768).astype(np.float32))
