"""Checkpoints of a run: whole or absent, proved when they are read, the last ones kept."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kft.errors import RunError
from kft.runs.atomic import atomic_directory

_STATE = "state.json"
_ARRAYS = "arrays.npz"
_DIGESTS = "digests.json"
_NAME = re.compile(r"(\d{6})-(phase|step|best)")
# Of the checkpoints between phases: the last, and one to go back to if it is damaged.
_PHASES_KEPT = 2


class DamagedError(Exception):
    """Why a checkpoint cannot be used."""


@dataclass(frozen=True)
class Checkpoint:
    """One that was read and is as it was written.

    Attributes:
        path: Its folder.
        state: JSON values.
        arrays: By name.
    """

    path: Path
    state: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def number(self) -> int:
        """Rises with each checkpoint of a run."""
        return int(self.path.name[:6])

    @property
    def is_between_phases(self) -> bool:
        """Whether it was written at the end of a phase, and not within one."""
        return self.path.name.endswith("-phase")


class Checkpoints:
    """The checkpoints of a run, in one folder.

    Args:
        folder: Made when there is something to write.
        kept: How many within phases to keep. Apart from these: the one of the
            best epoch, and those of the last two ends of a phase.
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
        """Write a checkpoint, synced and under its name only when it is whole.

        Args:
            state: JSON values; numbers that are none are allowed.
            arrays: By name.
            is_between_phases: It holds what a phase ended with.
            is_best: It is that of the best epoch so far, and takes the place of the one before.

        Raises:
            RunError: There is no room, or the folder cannot be written; what was written
                before is intact.
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
                f"{error.strerror or error}. The checkpoints before it are intact. Make room, "
                "or see that the folder can be written, and resume the run."
            ) from error
        self._prune()
        return path

    def read(self, on_damage: Callable[[Path, str], None]) -> Iterator[Checkpoint]:
        """Those that are as they were written, the newest first.

        A damaged one is set aside under the name `damaged-…`, to be looked at and never read.

        Args:
            on_damage: Called with the path of a damaged one, and what is wrong.
        """
        for path in reversed(self._find()):
            try:
                yield _read(path)
            except DamagedError as reason:
                path.rename(path.with_name(f"damaged-{path.name}"))
                on_damage(path, str(reason))

    def find(self, numbers: Collection[int]) -> list[Checkpoint]:
        """Those of the given numbers, which another process has found to be whole.

        Raises:
            RunError: One is not here, or not as it was written.
        """
        paths = {int(path.name[:6]): path for path in self._find()}
        missing = sorted(set(numbers) - set(paths))
        if missing:
            raise RunError(
                f"{self.folder}: checkpoint {missing[0]} is not here. Let all workers see the "
                "folder of runs at one path."
            )
        try:
            return [_read(paths[number]) for number in numbers]
        except DamagedError as reason:
            raise RunError(f"{self.folder}: {reason}") from None

    def remove_after(self, number: int) -> None:
        """Remove those that are newer than one that is gone back to."""
        for path in self._find():
            if int(path.name[:6]) > number:
                _remove(path)

    def clear(self) -> None:
        """Remove all, when a run has ended well; damaged ones stay."""
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
        """What a process that was killed had not finished."""
        for path in self.folder.glob(".*.partial"):
            shutil.rmtree(path, ignore_errors=True)


def _remove(path: Path) -> None:
    """Its name goes first: a process that is killed leaves no half of it under its name."""
    leftover = path.with_name(f".{path.name}.partial")
    path.rename(leftover)
    shutil.rmtree(leftover)


def _write_files(folder: Path, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    (folder / _STATE).write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
    with (folder / _ARRAYS).open("wb") as file:
        # Types that NumPy does not know are stored as bytes, and read as what they are put into.
        np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]
    (folder / _DIGESTS).write_text(_list_digests(folder), encoding="utf-8")


def _list_digests(folder: Path) -> str:
    """Size and SHA-256 of each file, as JSON."""
    listed = {}
    for name in (_ARRAYS, _STATE):
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            listed[name] = {"bytes": file.tell(), "sha256": digest}
    return json.dumps(listed, indent=1) + "\n"


def _read(path: Path) -> Checkpoint:
    try:
        stated = (path / _DIGESTS).read_bytes()
        # To the letter: so a bit of the list itself that has changed is seen too.
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
