"""Run directories: layout, lock and status."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from kft.errors import HeldRunError, RunError
from kft.runs import RunDirectory, check_run_is_new, create_run, find_runs, find_started, open_run
from kft.runs.layout import read_json

# Takes the run, says so, and stays until it is killed.
HOLDER = """
import sys, time
from kft.runs import RunDirectory
with RunDirectory(sys.argv[1]).hold():
    print("held", flush=True)
    time.sleep(60)
"""
TRIES = """
import sys
from kft.errors import RunError
from kft.runs import RunDirectory
try:
    with RunDirectory(sys.argv[1]).hold():
        print("held")
except RunError as error:
    print(error)
"""


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return create_run(str(tmp_path / "runs"), "birds", "first")


@contextlib.contextmanager
def held_by_another(run: RunDirectory):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def try_elsewhere(run: RunDirectory) -> str:
    result = subprocess.run(
        [sys.executable, "-c", TRIES, str(run.path)], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_the_layout_matches_the_docstring_of_the_class(run):
    assert run.path.parent.name == "birds"
    assert run.path.name == "first"
    assert run.path.is_dir()
    root = run.path
    assert run.pipeline == root / "pipeline.yaml"
    assert run.manifest == root / "manifest.json"
    assert run.splits == root / "splits.csv"
    assert run.status_file == root / "status.json"
    assert run.model == root / "model.keras"
    assert run.model_card == root / "model.json"
    assert run.phase(0, "linear_probe") == root / "phases" / "00-linear-probe"
    assert run.phase(12, "full") == root / "phases" / "12-full"
    assert run.evaluation("holdout") == root / "evaluation" / "holdout"


def test_run_ids_hold_the_time_and_differ(tmp_path):
    runs = [create_run(str(tmp_path), "birds") for _ in range(3)]
    assert len({run.path.name for run in runs}) == 3
    year = time.strftime("%Y")
    assert all(run.path.name.startswith(year) for run in runs)


def test_a_run_is_never_created_twice(run, tmp_path):
    (run.path / "kept").write_text("x")
    with pytest.raises(RunError, match=r"first: the run directory already exists.*--run-id"):
        create_run(str(tmp_path / "runs"), "birds", "first")
    with pytest.raises(RunError, match="exists"):
        check_run_is_new(str(tmp_path / "runs"), "birds", "first")
    assert [path.name for path in run.path.iterdir()] == ["kept"]


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(RunError, match="cannot create the run directory: Not a directory"):
        create_run(str(tmp_path / "runs"), "birds", "first")


def test_the_status_reads_back_with_its_time_and_details(run):
    run.write_status("failed", reason="ValueError: x")
    status = run.read_status()
    assert status["state"] == "failed"
    assert status["reason"] == "ValueError: x"
    assert status["time"].endswith("+00:00")


def test_a_locked_run_is_running_and_an_unlocked_one_was_interrupted(run):
    with run.hold():
        run.write_status("running")
        assert run.read_status()["state"] == "running"
    assert run.read_status()["state"] == "interrupted"
    run.write_status("finished")
    assert run.read_status()["state"] == "finished"


def test_a_second_process_is_refused_with_the_pid_of_the_first(run):
    with run.hold():
        message = try_elsewhere(run)
    assert f"process {os.getpid()} is writing into this run" in message
    assert str(run.path) in message
    assert try_elsewhere(run) == "held"


def test_the_lock_of_a_killed_process_is_free_and_its_run_was_interrupted(run):
    with held_by_another(run) as process:
        run.write_status("running")
        assert run.read_status()["state"] == "running"
        with pytest.raises(RunError, match=f"process {process.pid} is writing"), run.hold():
            pass
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert run.read_status()["state"] == "interrupted"
        with run.hold():
            assert (run.path / ".lock").read_text() == str(os.getpid())


def test_a_failing_body_releases_the_run(run):
    def fail():
        with run.hold():
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    with run.hold():
        pass


def test_a_finished_run_opens(run):
    run.write_status("finished")
    assert open_run(run.path).path.name == "first"
    assert open_run(str(run.path)).path == run.path


def test_opening_an_unfinished_or_missing_run_reports_the_reason(run, tmp_path):
    with pytest.raises(RunError, match=r"no such run directory.*kft runs"):
        open_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"not a run directory: it holds no status\.json"):
        open_run(run.path)
    run.write_status("failed", reason="OSError: disk full")
    with pytest.raises(RunError, match=r"the run is failed, not finished: OSError: disk full"):
        open_run(run.path)
    run.write_status("running")
    with pytest.raises(RunError, match=r"the run is interrupted, not finished$"):
        open_run(run.path)


def test_runs_are_found_in_order_and_other_folders_are_not(tmp_path):
    for name, run_id in (("b", "2"), ("b", "1"), ("a", "9")):
        create_run(str(tmp_path), name, run_id).write_status("running")
    create_run(str(tmp_path), "a", "without-status")
    (tmp_path / "stray.txt").write_text("x")
    assert [(run.path.parent.name, run.path.name) for run in find_runs(tmp_path)] == [
        ("a", "9"),
        ("b", "1"),
        ("b", "2"),
    ]
    assert find_runs(tmp_path / "nowhere") == []


def test_a_missing_or_damaged_record_raises_a_run_error(tmp_path):
    with pytest.raises(RunError, match="missing; the run directory is incomplete"):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(RunError, match=r"x\.json: cannot be read"):
        read_json(tmp_path / "x.json")


def test_a_started_run_is_found_and_one_without_a_manifest_is_renamed(tmp_path):
    assert find_started(str(tmp_path), "photos", "job") is None
    run = create_run(str(tmp_path), "photos", "job")
    run.write_status("running")
    (run.path / "notes.txt").write_text("mine")
    assert find_started(str(tmp_path), "photos", "job") is None
    assert not run.path.exists()
    (aside,) = (tmp_path / "photos").glob(".job-unbegun-*")
    assert (aside / "notes.txt").read_text() == "mine"
    assert find_runs(tmp_path) == []
    run = create_run(str(tmp_path), "photos", "job")
    run.manifest.write_text("{}")
    begun = find_started(str(tmp_path), "photos", "job")
    assert begun is not None
    assert begun.path == run.path


@pytest.mark.parametrize("run_id", ["", ".", "..", "a/b"])
def test_a_run_with_an_invalid_name_is_refused(tmp_path, run_id):
    create_run(str(tmp_path), "photos", "other")
    with pytest.raises(RunError, match="Allowed are letters"):
        find_started(str(tmp_path), "photos", run_id)
    assert (tmp_path / "photos/other").is_dir()


def test_a_run_that_another_process_is_starting_is_left_alone(tmp_path):
    run = create_run(str(tmp_path), "photos", "job")
    with held_by_another(run), pytest.raises(HeldRunError, match="is writing into this run"):
        find_started(str(tmp_path), "photos", "job")
    assert run.path.is_dir()
