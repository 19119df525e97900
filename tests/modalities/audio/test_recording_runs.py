"""Whole runs over recordings: trained, judged, served, resumed, audited."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from killed_runs import compare_killed_run
from recordings import make_tone, make_wav

from kft.auditing.auditing import audit_data
from kft.config import load_pipeline
from kft.display import Display
from kft.examples import Files
from kft.run_operations.evaluate import evaluate_run
from kft.serving import ExportedModel
from kft.workflow import train

SMALL = (
    "backbone.name=yamnet",
    "backbone.weights=random",
    "backbone.options.layers=3",
    "training.global_batch_size=16",
    "features.engine=keras",
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """Low and high tones in noise, at several rates and lengths; and one file cut off."""
    folder = tmp_path_factory.mktemp("recordings") / "tones"
    random = np.random.default_rng(0)
    for name, hertz in (("low", 400.0), ("high", 2000.0)):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            rate = (8000, 16_000, 22_050)[number % 3]
            tone = make_tone(
                hertz * random.uniform(0.9, 1.1),
                rate=rate,
                seconds=random.uniform(0.1, 0.3),
                level=random.uniform(0.1, 0.4),
            )
            tone += random.normal(0, 0.01, len(tone))
            (folder / name / f"{number}.wav").write_bytes(make_wav(tone, rate))
    (folder / "low" / "cut.wav").write_bytes(make_wav(make_tone())[:-100])
    return folder


def load(recordings: Path, place: Path, *overrides: str):
    own = (f"runs_directory={place}/runs", f"export.directory={place}/saved_models")
    return load_pipeline(str(recordings), (*SMALL, *own, *overrides))


@pytest.mark.full
@pytest.mark.parametrize(
    ("backbone", "least"),
    [
        ((), 0.75),
        # Nearly all are longer: two windows of each are heard, in training as in the export.
        (("data.audio.seconds=0.1", "data.audio.window_seconds=0.05"), 0.75),
        # Its random filters tell little of what they hear.
        (("backbone.name=small_wavenet", "backbone.options={width: 8}"), 0.5),
        (
            (
                "backbone.name=logmel:small_cnn",
                "backbone.options={width: 4}",
                "backbone.input_size=32",
            ),
            0.75,
        ),
    ],
    ids=["yamnet", "windows", "small_wavenet", "logmel"],
)
def test_recordings_are_learned_served_and_judged_again(backbone, least, recordings, tmp_path):
    learned = ("strategy.name=linear_probe", "data.holdout=0.5")
    finished = train(load(recordings, tmp_path, *learned, *backbone), Display())
    assert finished.evaluation.figures["accuracy"] >= least
    assert "low/cut.wav" in (finished.run.path / "quarantine.csv").read_text()
    assert finished.export.largest_difference <= 1e-5
    paths = tuple(str(path) for path in sorted(recordings.rglob("1?.wav"))[:3])
    for answer in ExportedModel(finished.export.path).answer(list(paths), Files(paths)):
        assert sum(answer.values.values()) == pytest.approx(1, abs=1e-5)
    assert evaluate_run(finished.run.path, Display(), data=str(recordings))["examples"] == 40


def test_recordings_are_audited_in_their_own_words(recordings):
    found = audit_data(load_pipeline(str(recordings), SMALL), Display(), with_labels=False)
    assert [group.total for group in found.overview.groups] == [20, 20, 40]
    facts = {fact.key: fact.value for fact in found.overview.facts}
    assert facts["sample_rates"] == {"8000 Hz": 14, "16000 Hz": 14, "22050 Hz": 12}
    (cut,) = [finding for finding in found.findings if finding.kind == "quarantined"]
    assert [file.name for file in cut.files] == ["low/cut.wav"]


def test_an_audit_says_where_the_backbone_reads_something_else(recordings):
    pictures = ("backbone.name=mobilenet_v2", "backbone.options={}")
    found = audit_data(load_pipeline(str(recordings), (*SMALL, *pictures)), Display())
    assert "mobilenet_v2 reads examples of modality 'image'" in " ".join(found.skipped)
    missing = audit_data(load_pipeline(str(recordings), ("backbone.name=yamnet",)), Display())
    assert "the weights of yamnet (yamnet.h5) are not on this machine" in " ".join(missing.skipped)


@pytest.mark.full
def test_a_killed_run_is_resumed_to_the_same_weights(recordings, tmp_path):
    own = ("strategy.name=full", "strategy.duration=200 steps", "data.audio.augmentation=strong")
    whole, resumed = compare_killed_run(tmp_path, str(recordings), *SMALL, *own)
    assert whole == resumed
