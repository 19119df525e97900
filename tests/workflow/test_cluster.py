"""Workers that train one model give the results of one process; lost workers are resumed from."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from kft.local_cluster import find_ports

KFT = str(Path(sys.executable).with_name("kft"))
# Small learning rates, so that rounding errors do not grow; one worker has no example in the last
# batch.
SETTINGS = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=16",
    "backbone.options.width=4",
    "data.image.augmentation=light",
    "training.global_batch_size=10",
    "training.optimizer=sgd",
    "training.checkpoint_every=3 steps",
    "features.engine=keras",
    "export.enabled=false",
)
PROBE = (
    "strategy.name=linear_probe",
    "strategy.probe=trained",
    "strategy.probe_duration=3",
    "features.views=2",
)
SLOWLY = ("strategy.learning_rate=0.001", "strategy.batch_norm=frozen")
FULL = ("strategy.name=full", "strategy.duration=3", *SLOWLY)
SOLVED_THEN_FULL = ("strategy.name=lp_ft", "strategy.duration=1", *SLOWLY)
PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_picture_folder) -> Path:
    """Create a folder of photos, 31 of them for training, in batches of ten."""
    place = tmp_path_factory.mktemp("cluster")
    make_picture_folder(place / "photos", classes=("cat", "dog"), per_class=24, size=16)
    return place


def start(place: Path, *arguments: str, cache: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [KFT, *arguments],
        cwd=place,
        env={**os.environ, "KFT_CACHE_DIR": str(place / cache)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(place: Path, *arguments: str, cache: str, exit_code: int = 0) -> str:
    process = start(place, *arguments, cache=cache)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == exit_code, said
    return said


def together(place: Path, run_id: str, *settings: str, workers: int = 2, **options) -> str:
    begun = ("launch", "--workers", str(workers), "photos", *SETTINGS, *settings)
    return run(place, *begun, "--run-id", run_id, cache=run_id, **options)


def alone(place: Path, run_id: str, *settings: str) -> str:
    return run(place, "train", "photos", *SETTINGS, *settings, "--run-id", run_id, cache=run_id)


def path_of(place: Path, run_id: str) -> Path:
    return place / "runs/photos" / run_id


def read_history(place: Path, run_id: str) -> list[list[float]]:
    rows = []
    for path in sorted(path_of(place, run_id).glob("phases/*/history.csv")):
        with path.open() as file:
            rows += [[float(value) for value in row.values()] for row in csv.DictReader(file)]
    assert rows
    return rows


def read_weights(place: Path, run_id: str) -> bytes:
    with zipfile.ZipFile(path_of(place, run_id) / "model.keras") as archive:
        return archive.read("model.weights.h5")


def assert_equal_within(one: list[list[float]], other: list[list[float]], most: float) -> None:
    assert len(one) == len(other)
    for row, other_row in zip(one, other, strict=True):
        assert row == pytest.approx(other_row, abs=most)


def test_two_workers_train_as_one_process_does_and_only_the_chief_writes(place):
    said = together(place, "quick", *SOLVED_THEN_FULL)
    alone(place, "quick-alone", *SOLVED_THEN_FULL)
    assert_equal_within(read_history(place, "quick"), read_history(place, "quick-alone"), 1e-5)
    lines = said.splitlines()
    assert "[1] Worker 1 of 2; the chief, worker 0, shows the progress." in lines
    assert all(line.startswith(("[0]", "[1]")) for line in lines)
    assert any(line.startswith("[0] Finished") for line in lines)
    assert sum("kft evaluate" in line for line in lines) == 1
    manifest = json.loads((path_of(place, "quick") / "manifest.json").read_text())
    assert (manifest["hardware"]["workers"], manifest["hardware"]["replicas"]) == (2, 2)
    # An entry of training and one of the holdout, under the same names as with a single process.
    entries = [
        sorted(p.name for p in (place / c / "features").glob("[!.]*"))
        for c in ("quick", "quick-alone")
    ]
    assert entries[0] == entries[1]
    assert len(entries[0]) == 2


@pytest.mark.full
@pytest.mark.parametrize("settings", [PROBE, FULL], ids=["probe", "full"])
def test_losses_of_two_workers_are_those_of_one(place, request, settings):
    name = request.node.callspec.id
    alone(place, f"{name}-1", *settings)
    together(place, f"{name}-2", *settings)
    expected = read_history(place, f"{name}-1")
    assert len(expected) == 3
    assert_equal_within(read_history(place, f"{name}-2"), expected, 1e-5)


LONG = (
    "strategy.name=full",
    "strategy.duration=12",
    "strategy.batch_norm=frozen",
    "head.dropout=0.3",
    "training.ema=0.9",
    "training.optimizer=adamw",
)


@pytest.fixture(scope="module")
def whole(place) -> str:
    together(place, "whole", *LONG)
    return "whole"


def stop_one(place: Path, run_id: str, number: int, with_signal: int) -> str:
    """Stop a worker, or the launcher if the number is negative, after the first checkpoint."""
    begun = ("launch", "--workers", "2", "photos", *SETTINGS, *LONG)
    process = start(place, *begun, "--run-id", run_id, cache="whole")
    while not any(path_of(place, run_id).glob("checkpoints/0*")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    pid = process.pid if number < 0 else find_worker(process.pid, number)
    os.kill(pid, with_signal)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode != 0
    return said


def find_worker(launcher: int, number: int) -> int:
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    for child in children:
        environ = Path(f"/proc/{child}/environ").read_text()
        if re.search(rf'"index": {number}\b', environ):
            return int(child)
    raise AssertionError(f"no worker {number} among {children}")


@pytest.mark.full
@pytest.mark.parametrize("number", [0, 1])
def test_a_lost_worker_is_reported_and_the_run_resumes_exactly(place, whole, number):
    run_id = f"lost-{number}"
    said = stop_one(place, run_id, number, signal.SIGKILL)
    assert f"[kft] worker {number} ended with exit code 137" in said
    assert re.search(rf"\[{1 - number}\] error: worker {1 - number}: lost ", said)
    assert f"run `kft train --resume runs/photos/{run_id}` on every one" in said
    resumed = run(place, "launch", "--resume", f"runs/photos/{run_id}", cache="whole")
    assert "[0] resuming at phase 1 of 1, epoch " in resumed
    assert read_weights(place, run_id) == read_weights(place, whole)
    assert read_history(place, run_id) == read_history(place, whole)


@pytest.mark.full
def test_all_workers_save_at_one_step_when_they_are_told_to_stop(place, whole):
    said = stop_one(place, "asked", -1, signal.SIGTERM)
    for number in (0, 1):
        assert f"[{number}] stopped by SIGTERM; resume with" in said
    run(place, "launch", "--resume", "runs/photos/asked", cache="whole")
    assert read_weights(place, "asked") == read_weights(place, whole)
    assert read_history(place, "asked") == read_history(place, whole)


@pytest.mark.full
def test_a_run_resumes_with_another_number_of_workers_and_records_it(place, whole):
    stop_one(place, "fewer", 1, signal.SIGKILL)
    run(place, "train", "--resume", "runs/photos/fewer", cache="whole")
    manifest = json.loads((path_of(place, "fewer") / "manifest.json").read_text())
    assert manifest["hardware"]["workers"] == 2
    (resumed,) = manifest["resumed"]
    assert (resumed["workers"], resumed["replicas"]) == (1, 1)
    assert len(read_history(place, "fewer")) == len(read_history(place, whole))


@pytest.mark.full
def test_a_restarted_job_resumes_its_run(place, whole):
    again = ("launch", "photos", *SETTINGS, *LONG, "--run-id", "job", "--resume-if-started")
    stop_one(place, "job", 1, signal.SIGKILL)
    assert "[0] resuming at phase 1 of 1" in run(place, *again, cache="whole")
    assert read_weights(place, "job") == read_weights(place, whole)
    said = run(place, *again, cache="whole")
    assert "runs/photos/job is finished" in said


@pytest.mark.full
def test_workers_with_different_settings_are_refused(place):
    addresses = [f"127.0.0.1:{port}" for port in find_ports(2)]
    workers = []
    for index, seed in enumerate((0, 1)):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        workers.append(
            subprocess.Popen(
                [KFT, "train", "photos", *SETTINGS, *FULL, f"training.seed={seed}"],
                cwd=place,
                env={**os.environ, "TF_CONFIG": json.dumps(task)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    said = [worker.communicate(timeout=PATIENCE_SECONDS)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [2, 2], said
    assert "training.seed: 0 -> 1" in said[1]
    assert "worker 1 has different settings from this one" in said[0]
