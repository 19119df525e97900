"""A real process that is told to stop saves, says how to resume, and can be resumed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

SMALL = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=16",
    "backbone.options.width=4",
    "strategy.name=full",
    "strategy.duration=5000 steps",
    "training.global_batch_size=8",
    "training.checkpoint_every=20 steps",
    "export.enabled=false",
)
KFT = str(Path(sys.executable).with_name("kft"))
PATIENCE_SECONDS = 120


def start(place: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [KFT, *arguments],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not any(path.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_picture_folder) -> Path:
    place = tmp_path_factory.mktemp("place")
    make_picture_folder(place / "photos", classes=("cat", "dog"), per_class=12, size=16)
    return place


def digest_weights(run: Path) -> str:
    with zipfile.ZipFile(run / "model.keras") as model:
        return hashlib.sha256(model.read("model.weights.h5")).hexdigest()


def test_a_killed_process_is_resumed_to_the_same_weights(place, monkeypatch):
    from kft.config import load_pipeline
    from kft.display import Display
    from kft.provenance import read_interrupted
    from kft.workflow import resume, train

    monkeypatch.chdir(place)
    settings = [*SMALL, "strategy.duration=150 steps"]
    process = start(place, "train", "photos", *settings, "--run-id", "killed")
    wait_for(place / "runs/photos/killed", "checkpoints/*-step", process)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    killed = place / "runs/photos/killed"
    assert not (killed / "model.keras").exists()
    resume(read_interrupted(killed), Display())
    whole = train(load_pipeline("photos", settings), Display(), run_id="whole").run
    assert digest_weights(killed) == digest_weights(whole.path)
    for name in ("phases/00-full/history.csv", "evaluation/holdout/metrics.json"):
        assert (killed / name).read_text() == (whole.path / name).read_text()


@pytest.mark.full
@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"]
)
def test_a_process_that_is_told_to_stop_saves_and_says_how_to_resume(place, number, exit_code):
    run_id = f"asked-{exit_code}"
    run = place / "runs/photos" / run_id
    process = start(place, "train", "photos", *SMALL, "--run-id", run_id)
    wait_for(run, "checkpoints/*-step", process)
    # Another process cannot resume the run meanwhile; the message names the first one.
    other = start(place, "train", "--resume", f"runs/photos/{run_id}")
    _, refused = other.communicate(timeout=PATIENCE_SECONDS)
    assert other.returncode == 1
    assert f"process {process.pid} is writing into this run" in refused
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == exit_code
    assert f"resume with `kft train --resume runs/photos/{run_id}`" in said
    assert "Traceback" not in said
    assert '"interrupted"' in (run / "status.json").read_text()
    # A run in place of data is refused, since standard input is not a terminal.
    named = start(place, "train", f"runs/photos/{run_id}")
    _, said = named.communicate(timeout=PATIENCE_SECONDS)
    assert named.returncode == 2
    assert f"Resume it with `kft train --resume runs/photos/{run_id}`" in said
    if number == signal.SIGTERM:
        check_resumed(place, run_id)


def check_resumed(place: Path, run_id: str) -> None:
    again = start(place, "train", "--resume", f"runs/photos/{run_id}")
    assert again.stderr is not None
    resuming = next(line for line in again.stderr if line.startswith("resuming"))
    again.kill()
    again.communicate(timeout=PATIENCE_SECONDS)
    assert resuming.startswith("resuming at phase 1 of 1, epoch ")


SEARCH = (
    "tune",
    "photos",
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=16",
    "backbone.options.width=4",
    "strategy.name=full",
    # Long enough that a slow machine does not end the trial before it is killed.
    "strategy.duration=400 steps",
    "training.global_batch_size=8",
    "training.checkpoint_every=20 steps",
    "export.enabled=false",
    "tuning.oracle=grid",
    "tuning.trials=3",
    "tuning.space={strategy.learning_rate: {values: [1e-4, 1e-3, 1e-2]}}",
)


def read_trials(runs: str, place: Path) -> dict[str, tuple[str, str]]:
    """Read figures and digest of the weights of each finished trial, by its number."""
    found = {}
    for path in (place / runs / "photos-trials").glob("*/model.keras"):
        metrics = (path.parent / "evaluation/validation/metrics.json").read_text()
        found[path.parent.name.split("-")[1]] = metrics, digest_weights(path.parent)
    return found


@pytest.mark.full
def test_a_killed_search_is_resumed_to_the_same_result(place):
    whole = start(place, *SEARCH, "runs_directory=whole")
    whole.communicate(timeout=PATIENCE_SECONDS)
    assert whole.returncode == 0
    process = start(place, *SEARCH, "runs_directory=killed")
    # Killed in the middle of a trial after the first.
    wait_for(place / "killed/photos-trials", "*-1/checkpoints/*-step", process)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    done = read_trials("killed", place)
    assert len(done) == 1
    again = start(place, *SEARCH, "runs_directory=killed")
    _, said = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0
    assert said.count("already finished: killed/photos-trials/") == 1
    assert said.count("resuming at phase 1 of 1, epoch ") == 1
    assert len(read_trials("killed", place)) == 3
    assert read_trials("killed", place) == read_trials("whole", place)
    assert done.items() <= read_trials("killed", place).items()
