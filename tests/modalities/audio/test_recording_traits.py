"""What an audit says of recordings."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from recordings import make_tone, make_wav

from kft.config import AudioConfig
from kft.modalities import load_modality
from kft.modalities.audio.inspection import Inspection
from kft.modalities.audio.preview import HEIGHT, WIDTH, draw_spectrogram
from kft.modalities.audio.quality import find_poor
from kft.modalities.showing import ViewRow

AUDIO = load_modality("audio")


def inspect(name: str = "a.wav", **changes: object) -> Inspection:
    """An ordinary recording, but for some facts."""
    facts = {
        "path": name,
        "digest": "",
        "size": 1,
        "changed_ns": 0,
        "format": "WAV",
        "encoding": "PCM of 16 bits",
        "channels": 1,
        "rate": 16_000,
        "seconds": 2.0,
        "peak": 0.7,
        "loudness": -20.0,
        "quiet_share": 0.2,
        "clipped_share": 0.0,
        "bandwidth": 5000.0,
    }
    return Inspection(name=name, **(facts | changes))


@pytest.mark.parametrize(
    ("kind", "bad", "good"),
    [
        ("short", {"seconds": 0.05}, {"seconds": 0.15}),
        ("soft", {"loudness": -65.0}, {"loudness": -50.0}),
        ("clipped", {"clipped_share": 0.01}, {"clipped_share": 0.0005}),
        ("mostly_quiet", {"quiet_share": 0.9}, {"quiet_share": 0.5}),
    ],
)
def test_each_kind_holds_beyond_its_threshold_only(kind, bad, good):
    (finding,) = find_poor([inspect("a.wav"), inspect("b.wav", **bad)])
    assert (finding.kind, finding.severity) == (kind, "warning")
    assert [file.name for file in finding.files] == ["b.wav"] and finding.files[0].note
    assert find_poor([inspect(), inspect(**good)]) == ()


def test_a_recording_is_told_of_once():
    findings = find_poor([inspect(seconds=0.01, loudness=-80.0, quiet_share=1.0)])
    assert [finding.kind for finding in findings] == ["short"]


def test_the_properties_that_should_not_tell_the_class():
    seen = [inspect(rate=8000), inspect(seconds=3.0, bandwidth=4000.0), inspect(channels=2)]
    properties = {each.name: each for each in AUDIO.list_properties(seen)}
    assert properties["sample rate"].values == ("8000 Hz", "16000 Hz", "16000 Hz")
    assert properties["sample rate"].columns.shape == (3, 2)
    assert properties["duration"].summarise(np.array([0, 1])) == "2.50 s"
    assert {name for name, each in properties.items() if each.is_technical} == {
        *("sample rate", "number of channels", "file format")
    }


def test_the_overview_counts_and_sums():
    facts = {fact.key: fact for fact in AUDIO.summarise([inspect(), inspect(rate=8000)])}
    assert facts["sample_rates"].value == {"16000 Hz": 1, "8000 Hz": 1}
    assert facts["total_hours"].value == pytest.approx(4 / 3600)
    assert AUDIO.summarise([]) == ()
    assert AUDIO.name_kinds([inspect()]) == ("WAV (PCM of 16 bits), 16000 Hz, 1 channel",)
    (length, level) = AUDIO.summarise_group([inspect(), inspect(seconds=4.0)])
    assert (length.text, level.text) == ("3.00 s", "-20.0 dB")
    assert [each.name for each in AUDIO.list_measures([inspect()])] == ["duration", "loudness"]


def test_a_preview_is_a_spectrogram_with_low_frequencies_below(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(make_wav(make_tone(300, seconds=1.0)))
    uri = AUDIO.preview(str(path), AudioConfig())
    assert uri is not None and uri.startswith("data:image/png;base64,")
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (HEIGHT, WIDTH)
    assert pixels.min(axis=1).argmin() > HEIGHT // 2
    assert AUDIO.preview(str(tmp_path / "gone.wav"), AudioConfig()) is None


@pytest.mark.parametrize("size", [10, 600, 100_000])
def test_a_recording_of_any_length_is_drawn(size):
    picture = draw_spectrogram(np.random.default_rng(0).normal(size=size), 16_000)
    assert picture.shape == (HEIGHT, WIDTH) and picture.dtype == np.uint8


def test_views_are_drawn_as_spectrograms():
    views = tuple({"waveform": make_tone(hertz).astype(np.float32)} for hertz in (300, 900))
    content = AUDIO.draw_views([ViewRow("high", "a.wav", views)], "light: recordings")
    assert content is not None
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG" and picture.width > 2 * WIDTH
