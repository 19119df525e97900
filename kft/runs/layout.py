"""A run directory: its layout, its life, who holds it."""

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
from typing import Any

from kft.config.section import NAME_PATTERN
from kft.errors import HeldRunError, RunError, StorageError
from kft.runs.atomic import write_json
from kft.runs.storage import find_obstacle


class RunDirectory:
    """Paths of one run, and its status.

    runs/<name>/<run id>/
        pipeline.yaml       every setting, defaults included
        manifest.json       seed, versions, hardware, fingerprint, digests
        splits.csv          which example is in which split
        quarantine.csv      which file was left out, and why; missing where none was
        status.json         running, finished or failed, and the reason
        phases/00-…/        history.csv, phase.json, tensorboard/
        checkpoints/        to resume from; gone when the run is finished
        model.keras         the trained model; model.json: what its outputs mean
        train_targets.npy   for the baseline of data that is judged later
        evaluation/<split>/ metrics.json, predictions.csv, confusion.csv, probabilities.npz

    Args:
        path: The directory of the run.
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

    def phase(self, index: int, name: str) -> Path:
        """Folder of one phase."""
        return self.path / "phases" / f"{index:02d}-{name.replace('_', '-')}"

    def evaluation(self, split: str) -> Path:
        """Folder of the figures on one split."""
        return self.path / "evaluation" / split

    def write_status(self, state: str, **details: Any) -> None:
        """Record 'running', 'finished' or 'failed', with the time."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(self.status_file, {"state": state, "time": now, **details})

    def read_status(self) -> dict[str, Any]:
        """What `write_status` recorded last."""
        status: dict[str, Any] = read_json(self.status_file)
        if not isinstance(status, dict) or not {"state", "time"} <= set(status):
            raise RunError(f"{self.status_file}: not a status that kft wrote")
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
        """Refuse to go on where nothing can be written into the run, before work is done for it.

        Raises:
            StorageError: It says why, and what to do.
        """
        obstacle = find_obstacle(self.path)
        if obstacle is not None:
            raise StorageError(
                f"{self.path}: nothing can be written into this run: {obstacle}. Copy it to a "
                "folder that can be written, and name the copy: it is a run too."
            )

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other processes from writing into this run.

        The operating system lets go of the lock when its process dies.

        Raises:
            HeldRunError: Another process holds it; its pid is named.
            StorageError: The directory cannot be written.
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
                    "run. Wait for it, or stop it."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def create_run(runs_directory: str, name: str, run_id: str | None = None) -> RunDirectory:
    """A new, empty run directory.

    Args:
        runs_directory: Folder of all runs.
        name: Of the pipeline.
        run_id: By default the time and four random characters.

    Raises:
        RunError: The directory exists already, or cannot be made.
    """
    if run_id is None:
        run_id = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    path = check_run_is_new(runs_directory, name, run_id)
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{path}: cannot make this run directory: {error.strerror}") from error
    return RunDirectory(path)


def check_run_id(run_id: str) -> None:
    """Refuse what is no plain name.

    Raises:
        RunError: It is none.
    """
    if not re.match(NAME_PATTERN, run_id):
        raise RunError(
            f"--run-id {run_id!r}: a plain name is expected: letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit."
        )


def check_run_is_new(runs_directory: str, name: str, run_id: str) -> Path:
    """The path of a run that does not exist yet, told before any work is done for it.

    Raises:
        RunError: It exists, or `run_id` is no plain name.
    """
    check_run_id(run_id)
    path = Path(runs_directory) / name / run_id
    if path.exists():
        raise RunError(
            f"{path}: this run directory exists. kft never writes over a run: choose another "
            "--run-id, or remove the directory."
        )
    return path


def open_run(path: Path | str) -> RunDirectory:
    """A finished run.

    Raises:
        RunError: There is no run at `path`, or it did not finish.
    """
    run = find_run(path)
    status = run.read_status()
    if status["state"] != "finished":
        reason = f": {status['reason']}" if "reason" in status else ""
        raise RunError(f"{path}: this run is {status['state']}, not finished{reason}")
    return run


def find_run(path: Path | str) -> RunDirectory:
    """A run in whatever state.

    Raises:
        RunError: There is none at `path`.
    """
    run = RunDirectory(path)
    if not run.path.is_dir():
        raise RunError(f"{path}: no such run directory. Run `kft runs` to list them.")
    if not run.status_file.is_file():
        raise RunError(
            f"{path}: not a run directory: it holds no {run.status_file.name}. "
            "Run `kft runs` to list them."
        )
    return run


def is_run(path: Path | str) -> bool:
    """Whether a folder is a run directory, in whatever state."""
    return RunDirectory(path).status_file.is_file()


def open_interrupted(path: Path | str) -> RunDirectory:
    """A run that did not finish, and that no process works on.

    Raises:
        RunError: There is no run at `path`, it finished, or a process holds it.
    """
    run = find_run(path)
    state = run.read_status()["state"]
    if state == "finished":
        raise RunError(f"{path}: this run is finished; there is nothing to resume.")
    with run.hold():
        return run


def find_finished(runs_directory: str, name: str, run_id: str) -> RunDirectory | None:
    """The run of this name, if it is finished."""
    run = RunDirectory(Path(runs_directory) / name / run_id)
    return run if is_run(run.path) and run.read_status()["state"] == "finished" else None


def find_started(runs_directory: str, name: str, run_id: str) -> RunDirectory | None:
    """A run of this name that may be gone on with; None where there is none.

    A directory whose run stopped before it had recorded what it depends on, and so before any
    work, is set aside.

    Raises:
        RunError: It is in the way and cannot be renamed, or another process holds it.
    """
    check_run_id(run_id)
    run = RunDirectory(Path(runs_directory) / name / run_id)
    if run.manifest.is_file() or not run.path.exists():
        return run if run.manifest.is_file() else None
    try:
        with run.hold():
            run.path.rename(run.path.with_name(f".{run_id}-unbegun-{secrets.token_hex(2)}"))
    except OSError as error:
        raise RunError(f"{run.path}: cannot be set aside: {error.strerror}") from error
    return None


def find_runs(runs_directory: Path | str) -> list[RunDirectory]:
    """All runs of a folder, oldest first within each name."""
    found = sorted(Path(runs_directory).glob("*/[!.]*/status.json"))
    return [RunDirectory(status.parent) for status in found]


def read_json(path: Path) -> Any:
    """The value of a JSON file of a run.

    Raises:
        RunError: It is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path}: missing; the run directory is not complete") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from error
