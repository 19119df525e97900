"""Checkpoints are written atomically, and damage is detected."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kft.errors import RunError
from kft.runs import checkpoints
from kft.runs.checkpoints import Checkpoints

FILES = ("arrays.npz", "digests.json", "state.json")
ARRAYS = {
    "weights/a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "optimizer/00000": np.array(7, np.int64),
    "seed": np.array([1, 2], np.uint32),
}


def refuse(path, reason):
    raise AssertionError(f"{path}: {reason}")


@pytest.fixture
def store(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def names(store: Checkpoints) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def read_all(store: Checkpoints) -> tuple[list, list[str]]:
    """States of the intact checkpoints, newest first, and names of the damaged ones."""
    damaged: list[str] = []
    found = list(store.read(lambda path, reason: damaged.append(path.name)))
    return found, damaged


def test_a_checkpoint_reads_back_as_written(store):
    store.write({"step": 3, "best": math.inf, "text": "ä"}, ARRAYS)
    (found,) = store.read(refuse)
    assert found.state == {"step": 3, "best": math.inf, "text": "ä"}
    assert not found.is_between_phases
    for name, values in ARRAYS.items():
        assert found.arrays[name].dtype == values.dtype
        assert np.array_equal(found.arrays[name], values)


def test_the_newest_checkpoint_is_read_first_and_old_ones_are_removed(store):
    for step in range(5):
        store.write({"step": step}, {})
    assert [found.state["step"] for found in store.read(refuse)] == [4, 3]


def test_checkpoints_between_phases_and_the_best_one_are_kept_in_addition(store):
    store.write({"step": 0}, {}, is_best=True)
    store.write({"step": 1}, {}, is_best=True)
    for phase in range(3):
        store.write({"phase": phase}, {}, is_between_phases=True)
        for step in range(3):
            store.write({"step": step}, {})
    assert [name[7:] for name in names(store)] == ["best", "phase", "phase", "step", "step"]
    assert [found.is_between_phases for found in store.read(refuse)] == [
        *(False, False, True, True, False),
    ]


def test_the_number_of_kept_checkpoints_can_be_raised(tmp_path):
    store = Checkpoints(tmp_path, kept=4)
    for step in range(9):
        store.write({"step": step}, {})
    assert len(names(store)) == 4


def test_resuming_from_a_checkpoint_removes_newer_ones(store):
    for step in range(2):
        store.write({"step": step}, {})
    first = min(found.number for found in store.read(refuse))
    store.remove_after(first)
    assert [found.state["step"] for found in store.read(refuse)] == [0]
    store.write({"step": 9}, {})
    assert [found.state["step"] for found in store.read(refuse)] == [9, 0]


def test_checkpoints_are_found_by_number_or_reported_missing(store):
    for step in range(2):
        store.write({"steps": step}, {"w": np.full(2, step)})
    (found,) = store.find([2])
    assert found.state == {"steps": 1}
    with pytest.raises(RunError, match=r"checkpoint 7 is missing\. Put the runs"):
        store.find([2, 7])
    (store.folder / "000002-step" / "state.json").write_text("{}")
    with pytest.raises(RunError, match="digests"):
        store.find([2])


def test_a_finished_run_keeps_no_checkpoints(store):
    store.clear()
    store.write({}, ARRAYS)
    store.clear()
    assert not store.folder.exists()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), file=st.sampled_from(FILES))
def test_a_flipped_bit_is_detected_anywhere(data, file, tmp_path):
    shutil.rmtree(tmp_path / "c", ignore_errors=True)
    store = Checkpoints(tmp_path / "c")
    store.write({"step": 1}, ARRAYS)
    last = store.write({"step": 2}, ARRAYS)
    content = bytearray((last / file).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    (last / file).write_bytes(content)
    found, damaged = read_all(store)
    assert [each.state["step"] for each in found] == [1]
    assert damaged == [last.name]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", ["cut", "emptied", "deleted"])
def test_a_truncated_or_missing_file_is_detected(store, file, change):
    store.write({"step": 1}, ARRAYS)
    last = store.write({"step": 2}, ARRAYS)
    content = (last / file).read_bytes()
    if change == "deleted":
        (last / file).unlink()
    else:
        (last / file).write_bytes(content[: len(content) // 2 if change == "cut" else 0])
    found, damaged = read_all(store)
    assert [each.state["step"] for each in found] == [1]
    assert damaged == [last.name]
    assert names(store) == ["000001-step", f"damaged-{last.name}"]
    # Set aside once, and never read again.
    assert read_all(store)[1] == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failed_write_keeps_the_last_checkpoint_and_reports_the_size(store, monkeypatch, number):
    store.write({"step": 1}, ARRAYS)

    def fail(*args, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(checkpoints.np, "savez", fail)
    with pytest.raises(RunError, match=rf"000002-step: .* MB .*{os.strerror(number)}") as caught:
        store.write({"step": 2}, {"large": np.zeros(500_000, np.float32)})
    assert "2.0 MB" in str(caught.value)
    assert [found.state["step"] for found in store.read(refuse)] == [1]
    assert names(store) == ["000001-step"]


KILLED = """
import sys
import numpy as np
from pathlib import Path
from kft.runs.checkpoints import Checkpoints
store = Checkpoints(Path(sys.argv[1]))
print("ready", flush=True)
for step in range(10**6):
    store.write({"step": step}, {"a": np.full(200_000, step, np.float32)})
"""


def kill_while_writing(folder, pause: float) -> None:
    command = [sys.executable, "-c", KILLED, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)


def check_after_kill(folder) -> int:
    """Check that every named checkpoint is intact; return the step of the newest."""
    store = Checkpoints(folder)
    steps = []
    for found in store.read(refuse):
        assert (found.arrays["a"] == found.state["step"]).all()
        steps.append(found.state["step"])
    assert steps == sorted(steps, reverse=True)
    store.write({"step": -1}, {})
    assert not list(folder.glob(".*.partial"))
    return steps[0] if steps else -1


def test_a_process_killed_while_it_writes_leaves_intact_checkpoints(tmp_path):
    for i, pause in enumerate((0.05, 0.1, 0.2)):
        kill_while_writing(tmp_path / str(i), pause)
        check_after_kill(tmp_path / str(i))


@pytest.mark.full
def test_a_hundred_kills_leave_intact_checkpoints(tmp_path):
    generator = np.random.default_rng(0)
    newest = []
    for i in range(100):
        kill_while_writing(tmp_path / str(i), float(generator.uniform(0.02, 0.4)))
        newest.append(check_after_kill(tmp_path / str(i)))
    assert sum(step >= 0 for step in newest) > 80


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_real_disk_that_fills_up_keeps_the_last_checkpoint(tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(tmp_path)], check=True)
    try:
        store = Checkpoints(tmp_path / "checkpoints", kept=9)
        with pytest.raises(RunError, match="No space left"):
            for step in range(9):
                store.write({"step": step}, {"a": np.full(200_000, step, np.float32)})
        found = next(iter(store.read(refuse)))
        assert (found.arrays["a"] == found.state["step"]).all()
        assert json.loads((found.path / "state.json").read_text())["step"] >= 1
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
