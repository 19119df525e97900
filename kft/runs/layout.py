"""Run directories: layout, status, lock, and how to find them."""

from __future__ import annotations

import datetime
import errno
import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from kft.config.section import NAME_PATTERN
from kft.errors import HeldRunError, RunError, StorageError
from kft.runs.atomic import write_json
from kft.runs.storage import find_obstacle


class RunDirectory:
    """Paths, status and lock of one run.

    runs/<name>/<run id>/
        pipeline.yaml       every setting, defaults included
        manifest.json       seed, versions, hardware, fingerprint, digests
        splits.csv          the split of each example
        quarantine.csv      files left out, with reasons; missing where there are none
        status.json         running, finished or failed, with the reason
        phases/00-…/        history.csv, phase.json, tensorboard/
        checkpoints/        for resuming; removed when the run is finished
        model.keras         the trained model; model.json: the meaning of its outputs
        train_targets.npy   training targets, for the baseline of later evaluations
        familiarity.npz     scatter of training features; abstain.json: the threshold of the export
        changes.json        how far each block of the backbone has moved
        evaluation/<split>/ metrics.json, predictions.csv, confusion.csv, probabilities.npz,
                            ladder.json, learning_curve.json, slices.json, answering.json
        evaluation/judgements.json  how often the holdout was judged
        explanations/       explanations.json and overlays, by `kft explain`

    Args:
        path: The run directory.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.pipeline = self.path / "pipeline.yaml"
        self.manifest = self.path / "manifest.json"
        self.splits = self.path / "splits.csv"
        self.quarantine = self.path / "quarantine.csv"
        self.status_file = self.path / "status.json"
        self.model = self.path / "model.keras"
        self.model_card = self.path / "model.json"
        self.train_targets = self.path / "train_targets.npy"
        self.checkpoints = self.path / "checkpoints"
        self.changes = self.path / "changes.json"
        self.explanations = self.path / "explanations"

    def phase(self, index: int, name: str) -> Path:
        """Folder of one phase."""
        return self.path / "phases" / f"{index:02d}-{name.replace('_', '-')}"

    def evaluation(self, split: str) -> Path:
        """Folder of the metrics and predictions on one split."""
        return self.path / "evaluation" / split

    def find_judged(self) -> Literal["holdout", "validation"]:
        """Find the split of the main evaluation: the holdout, or validation without one.

        Raises:
            RunError: The run judged neither.
        """
        for split in ("holdout", "validation"):
            if (self.evaluation(split) / "metrics.json").is_file():
                return split
        raise RunError(
            f"{self.path}: the run judged neither holdout nor validation. It judged: "
            f"{', '.join(self.list_judged()) or 'nothing'}. `kft evaluate {self.path} --data PATH` "
            "judges it on labelled data."
        )

    def list_judged(self) -> list[str]:
        """List the splits and other data that were judged, as names for `evaluation`."""
        return sorted(path.parent.name for path in self.path.glob("evaluation/*/metrics.json"))

    def write_status(self, state: str, **details: Any) -> None:
        """Record 'running', 'finished' or 'failed', with the time."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(self.status_file, {"state": state, "time": now, **details})

    def read_status(self) -> dict[str, Any]:
        """Read the last recorded status; a dead process's 'running' becomes 'interrupted'.

        Raises:
            RunError: The status is missing or damaged.
        """
        status: dict[str, Any] = read_json(self.status_file)
        if not isinstance(status, dict) or not {"state", "time"} <= set(status):
            raise RunError(f"{self.status_file}: the file does not hold a status that kft wrote")
        if status["state"] == "running" and not self._is_held():
            return {**status, "state": "interrupted"}
        return status

    def _is_held(self) -> bool:
        try:
            with (self.path / ".lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def check_writable(self) -> None:
        """Refuse a read-only run before any work is done for it.

        Raises:
            StorageError: The run directory is not writable.
        """
        obstacle = find_obstacle(self.path)
        if obstacle is not None:
            raise StorageError(
                f"{self.path}: the run directory is not writable: {obstacle}. Copy the run to a "
                "writable folder and use the copy."
            )

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Lock the run against other writers; the lock ends with the process at the latest.

        Raises:
            HeldRunError: Another process holds the lock; the message gives its pid.
            StorageError: The run directory is not writable.
        """
        self.check_writable()
        with (self.path / ".lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                lock.seek(0)
                raise HeldRunError(
                    f"{self.path}: process {lock.read().strip() or 'unknown'} is writing into this "
                    "run. Wait until it ends, or stop it."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def create_run(runs_directory: str, name: str, run_id: str | None = None) -> RunDirectory:
    """Create a new, empty run directory.

    Args:
        runs_directory: Folder of all runs.
        name: Name of the pipeline.
        run_id: Name of the run; by default the time and four random characters.

    Raises:
        RunError: The directory already exists, or cannot be created.
    """
    if run_id is None:
        run_id = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    path = check_run_is_new(runs_directory, name, run_id)
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{path}: cannot create the run directory: {error.strerror}") from error
    return RunDirectory(path)


def check_run_id(run_id: str) -> None:
    """Reject an invalid name of a run.

    Raises:
        RunError: The name has other characters than letters, digits, '.', '_' and '-', or does
            not begin with a letter or digit.
    """
    if not re.match(NAME_PATTERN, run_id):
        raise RunError(
            f"--run-id: found {run_id!r}. Allowed are letters, digits, '.', '_' and '-', beginning "
            "with a letter or digit."
        )


def check_run_is_new(runs_directory: str, name: str, run_id: str) -> Path:
    """Refuse a run that already exists, before any work is done for it; return its path.

    Raises:
        RunError: The run exists, or `run_id` is not a valid name.
    """
    check_run_id(run_id)
    path = Path(runs_directory) / name / run_id
    if path.exists():
        raise RunError(
            f"{path}: the run directory already exists. kft never overwrites a run: choose another "
            "--run-id, or remove the directory."
        )
    return path


def open_run(path: Path | str) -> RunDirectory:
    """Open a finished run.

    Raises:
        RunError: `path` holds no run, or the run did not finish.
    """
    run = find_run(path)
    status = run.read_status()
    if status["state"] != "finished":
        reason = f": {status['reason']}" if "reason" in status else ""
        raise RunError(f"{path}: the run is {status['state']}, not finished{reason}")
    return run


def find_run(path: Path | str) -> RunDirectory:
    """Open a run in any state.

    Raises:
        RunError: `path` holds no run.
    """
    run = RunDirectory(path)
    if not run.path.is_dir():
        raise RunError(f"{path}: no such run directory. Run `kft runs` to list all runs.")
    if not run.status_file.is_file():
        raise RunError(
            f"{path}: not a run directory: it holds no {run.status_file.name}. "
            "Run `kft runs` to list all runs."
        )
    return run


def is_run(path: Path | str) -> bool:
    """Tell whether a folder is a run directory, in any state."""
    return RunDirectory(path).status_file.is_file()


def open_interrupted(path: Path | str) -> RunDirectory:
    """Open a run that did not finish and that no process works on.

    Raises:
        RunError: `path` holds no run, the run is finished, or a process holds it.
    """
    run = find_run(path)
    state = run.read_status()["state"]
    if state == "finished":
        raise RunError(f"{path}: the run is finished; there is nothing to resume.")
    with run.hold():
        return run


def find_finished(runs_directory: str, name: str, run_id: str) -> RunDirectory | None:
    """Find the run of this name if it is finished; else None."""
    run = RunDirectory(Path(runs_directory) / name / run_id)
    return run if is_run(run.path) and run.read_status()["state"] == "finished" else None


def find_started(runs_directory: str, name: str, run_id: str) -> RunDirectory | None:
    """Find the run of this name if it can be resumed; else None.

    A directory without a manifest comes from a run that stopped before it did any work: it is
    renamed out of the way.

    Raises:
        RunError: Such a directory cannot be renamed, or another process holds it.
    """
    check_run_id(run_id)
    run = RunDirectory(Path(runs_directory) / name / run_id)
    if run.manifest.is_file() or not run.path.exists():
        return run if run.manifest.is_file() else None
    try:
        with run.hold():
            run.path.rename(run.path.with_name(f".{run_id}-unbegun-{secrets.token_hex(2)}"))
    except OSError as error:
        raise RunError(f"{run.path}: cannot be renamed: {error.strerror}") from error
    return None


def find_runs(runs_directory: Path | str) -> list[RunDirectory]:
    """List the runs in a folder by name, oldest first within each name."""
    found = sorted(Path(runs_directory).glob("*/[!.]*/status.json"))
    return [RunDirectory(status.parent) for status in found]


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path}: missing; the run directory is incomplete") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from error
