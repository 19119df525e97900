"""Whole runs over videos: trained, judged, served, resumed, audited."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from videos import encode_gif, encode_video, make_frames, write_frames

from kft.auditing.auditing import audit_data
from kft.config import load_pipeline
from kft.display import Display
from kft.examples import Files
from kft.modalities.video.moving_shapes import write_clips
from kft.run_operations.evaluate import evaluate_run
from kft.serving import ExportedModel
from kft.serving.parity import ServingProcess
from kft.workflow import train

VIDEO = ("data.modality=video", "backbone.weights=random", "features.engine=keras")
TEMPORAL = (
    *(*VIDEO, "backbone.name=small_3d_cnn", "backbone.input_size=32", "strategy.name=full"),
    "backbone.options={frames: 12, width: 8}",
    *("strategy.duration=30 epochs", "strategy.learning_rate=3e-3"),
)
# The same frames, by a network of pictures whose features are averaged over them.
FRAME_AVERAGE = (
    *(*VIDEO, "backbone.name=frames:small_cnn", "backbone.input_size=32"),
    "backbone.options={frames: 12, width: 4}",
    *("strategy.name=full", "strategy.duration=10 epochs", "strategy.learning_rate=3e-3"),
)


@pytest.fixture(scope="module")
def moving_shapes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "moving_shapes"
    write_clips(folder, 60)
    return folder


def load(data: Path, place: Path, *overrides: str):
    own = (f"runs_directory={place}/runs", f"export.directory={place}/saved_models")
    return load_pipeline(str(data), (*own, *overrides))


@pytest.mark.full
def test_motion_is_learned_by_a_temporal_model_and_not_by_the_mean_of_frames(
    moving_shapes, tmp_path
):
    temporal = train(load(moving_shapes, tmp_path, *TEMPORAL), Display())
    assert temporal.evaluation.figures["accuracy"] >= 0.95
    assert temporal.export.largest_difference <= 1e-5
    average = train(
        load(moving_shapes, tmp_path, *FRAME_AVERAGE, "export.enabled=false"), Display()
    )
    # 48 clips in the holdout: chance is .25 with a standard error of .06.
    assert average.evaluation.figures["accuracy"] <= 0.45
    paths = tuple(str(path) for path in sorted(moving_shapes.rglob("000.gif")))
    with ServingProcess() as without_kft:
        answers = without_kft.answer(temporal.export.path, paths)
    names = [Path(path).parent.name for path in paths]
    assert np.mean(answers["top_class"].ravel() == names) >= 0.75
    assert evaluate_run(temporal.run.path, Display(), data=str(moving_shapes))["examples"] == 240


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """Squares that move right or left, in films, GIFs and folders of frames; and one cut off."""
    folder = tmp_path_factory.mktemp("videos") / "mixed"
    for name in ("right", "left"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            frames = make_frames(8, seed=number + 100 * (name == "left"))
            frames = frames if name == "right" else frames[::-1]
            path = folder / name / str(number)
            if number % 3 == 0:
                path.with_suffix(".mp4").write_bytes(encode_video(frames))
            elif number % 3 == 1:
                path.with_suffix(".gif").write_bytes(encode_gif(frames))
            else:
                write_frames(path, frames)
    (folder / "left" / "cut.webm").write_bytes(encode_video(make_frames(), "webm")[:-50])
    return folder


SMALL = (
    *(*VIDEO, "backbone.name=frames:small_cnn", "backbone.input_size=16"),
    "backbone.options={frames: 4, width: 2, temporal: lstm, units: 4}",
)


@pytest.mark.full
@pytest.mark.usefixtures("parity_in_this_process")
@pytest.mark.parametrize(
    "how",
    [
        ("backbone.options={frames: 4, width: 2}", "strategy.name=linear_probe"),
        ("strategy.name=top_k", "data.video.augmentation=medium", "data.video.spare=3"),
    ],
    ids=["mean", "lstm"],
)
def test_films_gifs_and_folders_of_frames_are_learned_served_and_judged_again(how, mixed, tmp_path):
    finished = train(load(mixed, tmp_path, *SMALL, "data.holdout=0.5", *how), Display())
    assert "left/cut.webm" in (finished.run.path / "quarantine.csv").read_text()
    assert finished.export.largest_difference <= 1e-5
    paths = tuple(str(path) for path in sorted(mixed.rglob("*.gif"))[:3])
    for answer in ExportedModel(finished.export.path).answer(list(paths), Files(paths)):
        assert sum(answer.values.values()) == pytest.approx(1, abs=1e-5)
    assert evaluate_run(finished.run.path, Display(), data=str(mixed))["examples"] == 24


def test_videos_are_audited_in_their_own_words(mixed):
    pytest.importorskip("av")
    found = audit_data(load_pipeline(str(mixed), SMALL), Display(), with_labels=False)
    assert [group.total for group in found.overview.groups] == [12, 12, 24]
    facts = {fact.key: fact.value for fact in found.overview.facts}
    assert facts["rates"] == {"10 per second": 16, "no stated rate": 8}
    assert facts["sizes"] == {"64 x 48": 24}
    (cut,) = [finding for finding in found.findings if finding.kind == "quarantined"]
    assert [file.name for file in cut.files] == ["left/cut.webm"]


@pytest.mark.full
def test_a_killed_run_is_resumed_to_the_same_weights(moving_shapes, tmp_path):
    def start(*arguments: str) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", "from kft.cli.main import main; main()", "train"]
        return subprocess.Popen(
            [*command, *arguments], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
        )

    own = (
        *(str(moving_shapes), *SMALL, "strategy.name=full", "strategy.duration=100 steps"),
        *("data.video.augmentation=strong", "data.video.spare=3", "export.enabled=false"),
        *("training.global_batch_size=16", "training.checkpoint_every=20 steps"),
    )
    assert start(*own, "runs_directory=whole").wait() == 0
    killed = start(*own, "runs_directory=killed")
    while not any((tmp_path / "killed").glob("*/*/checkpoints/*-best")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (run,) = (tmp_path / "killed").glob("*/*")
    assert start("--resume", str(run)).wait() == 0
    digests = [digest_weights(*(tmp_path / name).glob("*/*")) for name in ("whole", "killed")]
    assert digests[0] == digests[1]


def digest_weights(run: Path) -> str:
    with zipfile.ZipFile(run / "model.keras") as model:
        return hashlib.sha256(model.read("model.weights.h5")).hexdigest()
