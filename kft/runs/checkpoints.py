"""Checkpoints of a run: written atomically, verified when read, pruned to the last ones."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kft.errors import RunError, first_line
from kft.runs.atomic import atomic_directory

_STATE = "state.json"
_ARRAYS = "arrays.npz"
_DIGESTS = "digests.json"
_NAME = re.compile(r"(\d{6})-(phase|step|best)")
# Checkpoints between phases: the last, and the one before in case the last is damaged.
_PHASES_KEPT = 2


class DamagedError(Exception):
    """A checkpoint is damaged; the message is the reason."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint, read and verified against its digests.

    Attributes:
        path: Its folder.
        state: JSON values.
        arrays: Arrays by name.
    """

    path: Path
    state: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def number(self) -> int:
        """Number of the checkpoint; it rises with each checkpoint of a run."""
        return int(self.path.name[:6])

    @property
    def is_between_phases(self) -> bool:
        """Whether the checkpoint was written at the end of a phase rather than within one."""
        return self.path.name.endswith("-phase")

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Name this checkpoint if its content does not fit what it is restored into.

        Raises:
            RunError: A value is missing, or belongs to another model.
        """
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"{self.path}: this checkpoint does not fit the run as it is now "
                f"({type(error).__name__}: {first_line(error)}) It was written with other settings "
                "or by another version of kft, and --accept-changes cannot convert it. Undo the "
                "changes, which the last entry of `resumed` in the run's manifest.json lists, or "
                f"remove {self.path.parent} and resume: the run then trains from its start."
            ) from error


class Checkpoints:
    """The checkpoints of a run, in one folder.

    Args:
        folder: Folder of the checkpoints, created with the first one.
        kept: Number of checkpoints within a phase to keep, in addition to the
            best epoch's and those at the end of the last two phases.
    """

    def __init__(self, folder: Path, *, kept: int = 2) -> None:
        self.folder = folder
        self._kept = kept

    def write(
        self,
        state: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        *,
        is_between_phases: bool = False,
        is_best: bool = False,
    ) -> Path:
        """Write a checkpoint: synced, and renamed to its final name once complete.

        Args:
            state: JSON values; NaN is allowed.
            arrays: Arrays by name.
            is_between_phases: The checkpoint holds the end of a phase.
            is_best: The checkpoint holds the best epoch so far and replaces the previous best.

        Raises:
            RunError: The disk is full or the folder is not writable; earlier checkpoints
                stay intact.
        """
        size = sum(values.nbytes for values in arrays.values())
        number = 1 + max((int(path.name[:6]) for path in self._find()), default=0)
        kind = "phase" if is_between_phases else "best" if is_best else "step"
        path = self.folder / f"{number:06d}-{kind}"
        try:
            with atomic_directory(path) as temporary:
                _write_files(temporary, state, arrays)
        except OSError as error:
            raise RunError(
                f"{path}: a checkpoint of {size / 1e6:,.1f} MB cannot be written: "
                f"{error.strerror or error}. Earlier checkpoints are intact. Free disk space or "
                "make the folder writable, then resume the run."
            ) from error
        self._prune()
        return path

    def read(self, on_damage: Callable[[Path, str], None]) -> Iterator[Checkpoint]:
        """Read the intact checkpoints, newest first.

        A damaged checkpoint is renamed to `damaged-…`: it can be inspected, but is never read.

        Args:
            on_damage: Called with the path of each damaged checkpoint and the reason.
        """
        for path in reversed(self._find()):
            try:
                yield _read(path)
            except DamagedError as reason:
                path.rename(path.with_name(f"damaged-{path.name}"))
                on_damage(path, str(reason))

    def find(self, numbers: Collection[int]) -> list[Checkpoint]:
        """Read the checkpoints of the given numbers, which another process has verified.

        Raises:
            RunError: A checkpoint is missing here or damaged.
        """
        paths = {int(path.name[:6]): path for path in self._find()}
        missing = sorted(set(numbers) - set(paths))
        if missing:
            raise RunError(
                f"{self.folder}: checkpoint {missing[0]} is missing. Put the runs directory where "
                "all workers see it at the same path."
            )
        try:
            return [_read(paths[number]) for number in numbers]
        except DamagedError as reason:
            raise RunError(f"{self.folder}: {reason}") from None

    def remove_after(self, number: int) -> None:
        """Remove the checkpoints after `number`, from which the run resumes."""
        for path in self._find():
            if int(path.name[:6]) > number:
                _remove(path)

    def clear(self) -> None:
        """Remove all checkpoints once the run is finished; damaged ones stay."""
        for path in self._find():
            _remove(path)
        self._remove_leftovers()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _find(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))

    def _prune(self) -> None:
        self._remove_leftovers()
        for kind, count in (("phase", _PHASES_KEPT), ("step", self._kept), ("best", 1)):
            for path in [p for p in self._find() if p.name.endswith(kind)][:-count]:
                _remove(path)

    def _remove_leftovers(self) -> None:
        """Remove the partial checkpoints of killed processes."""
        for path in self.folder.glob(".*.partial"):
            shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> None:
    """Rename a checkpoint, then delete it: a killed process leaves no half under its name."""
    leftover = path.with_name(f".{path.name}.partial")
    path.rename(leftover)
    shutil.rmtree(leftover)


def _write_files(folder: Path, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    (folder / _STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    with (folder / _ARRAYS).open("wb") as file:
        # Types unknown to NumPy (bfloat16) are stored as raw bytes, and read back as the type of
        # the variable that they belong to.
        np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    (folder / _DIGESTS).write_text(_list_digests(folder), encoding="utf-8")


def _list_digests(folder: Path) -> str:
    """Size and SHA-256 of each file of a checkpoint, as JSON."""
    listed = {}
    for name in (_ARRAYS, _STATE):
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            listed[name] = {"bytes": file.tell(), "sha256": digest}
    return json.dumps(listed, indent=1) + "\n"


def _read(path: Path) -> Checkpoint:
    try:
        stated = (path / _DIGESTS).read_bytes()
        # Compared byte by byte, so that a damaged list of digests shows too.
        if stated != _list_digests(path).encode():
            raise DamagedError("it does not match its digests")
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        with np.load(path / _ARRAYS, allow_pickle=False) as arrays:
            return Checkpoint(path, state, {name: arrays[name] for name in arrays.files})
    except OSError as error:
        missing = Path(error.filename).name if error.filename else path.name
        raise DamagedError(f"{missing}: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile) as error:
        raise DamagedError(f"it cannot be read: {error}") from None
