"""Paths as a pipeline writes them -> the files and folders that they mean for a run."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kft.backbones import BACKBONES
from kft.config import Pipeline, load_pipeline, override_pipeline, validate_pipeline
from kft.data.loading import check_source
from kft.errors import DataError
from kft.runs import RunDirectory
from kft.runs.layout import read_json
from kft.runs.storage import find_obstacle

_READ = ("data.path", "data.split.file", "backbone.name", "backbone.weights")
_READ_LISTS = ("data.folders.outside", "data.table.outside")
_WRITTEN = ("export.directory", "runs_directory")
# In front of the folder of a backbone.
_PREFIXES = ("keras_hub:", "hub:")
_NO_WEIGHTS_FILE = ("imagenet", "random")


@dataclass(frozen=True)
class Roots:
    """Folders that the relative paths of a run's pipeline start from.

    Attributes:
        started_in: Working directory in which the run began, where that is recorded.
        implied: What the run's own place implies, since it lies at RUNS_DIRECTORY/NAME/RUN_ID
            below it: so a project may be moved or copied as a whole.
    """

    started_in: Path | None
    implied: Path | None

    @classmethod
    def of(cls, run: RunDirectory, pipeline: Pipeline) -> Roots:
        """Those of a run."""
        recorded = read_json(run.manifest) if run.manifest.is_file() else {}
        started_in = recorded.get("working_directory")
        implied = _strip(Path(absolute(run.path)), Path(pipeline.runs_directory))
        return cls(Path(started_in) if started_in else None, implied)

    def find(self, written: str) -> str:
        """What a path that is read means: the first that exists, else where the run began.

        A path that means the same from here stays as it is written. Runs of before have no
        record; their paths may start from here.
        """
        roots = [self.started_in or Path.cwd(), *([self.implied] if self.implied else [])]
        places = [root / written for root in roots]
        return _shorten(next(filter(_exists, places), places[0]), written)

    def place(self, written: str) -> str:
        """What a path that is written to means; it need not exist."""
        roots = (self.implied, self.started_in)
        # A run may have been copied out of a place that cannot be written.
        root = next(
            (
                root
                for root in roots
                if root is not None and root.is_dir() and find_obstacle(root / written) is None
            ),
            Path.cwd(),
        )
        return _shorten(root / written, written)


def _strip(run: Path, runs_directory: Path) -> Path | None:
    """The folder below which a run lies at RUNS_DIRECTORY/NAME/RUN_ID."""
    depth = len(runs_directory.parts) + 2
    is_below = run.parts[-depth:-2] == runs_directory.parts
    return run.parents[depth - 1] if is_below and len(run.parts) > depth else None


def _exists(path: Path) -> bool:
    """Whether there is a file or folder, or something that a glob matches."""
    if os.path.lexists(path):
        return True
    pattern = path.relative_to(path.anchor).as_posix()
    return glob.has_magic(pattern) and any(True for _ in Path(path.anchor).glob(pattern))


def absolute(path: Path | str) -> str:
    """The path from the root of the file system; links stay as they are."""
    return os.path.normpath(Path(path).absolute())


def _shorten(place: Path, written: str) -> str:
    return written if absolute(written) == absolute(place) else absolute(place)


def load_run_pipeline(
    run: RunDirectory, overrides: Sequence[str] = (), *, data: str | None = None
) -> Pipeline:
    """The pipeline of a run, with paths that lead to its files from here.

    Args:
        run: In whatever state.
        overrides: Settings to change; their paths start from here.
        data: Where the data are now, if they have moved.

    Raises:
        ConfigError: `pipeline.yaml` is missing or damaged, or an override is refused.
    """
    written = load_pipeline(str(run.pipeline))
    roots = Roots.of(run, written)
    located = change_paths(written, read=roots.find, written_to=roots.place)
    if data is not None:
        section = located.data.model_copy(update={"path": _change("data.path", data, absolute)})
        located = located.model_copy(update={"data": section})
    return override_pipeline(located, overrides) if overrides else located


def make_absolute(pipeline: Pipeline) -> Pipeline:
    """The pipeline with paths that mean the same in every working directory."""
    return change_paths(pipeline, read=absolute, written_to=absolute)


def change_paths(
    pipeline: Pipeline, *, read: Callable[[str], str], written_to: Callable[[str], str]
) -> Pipeline:
    """The pipeline with each relative path changed.

    Args:
        pipeline: Validated.
        read: For files and folders that a run reads.
        written_to: For folders that it writes to.
    """
    values = pipeline.model_dump(mode="json")
    for keys in (*_READ, *_READ_LISTS, *_WRITTEN):
        *parents, last = keys.split(".")
        section: dict[str, Any] = values
        for parent in parents:
            section = section[parent]
        change = written_to if keys in _WRITTEN else read
        found = section[last]
        section[last] = (
            [_change(keys, each, change) for each in found]
            if isinstance(found, list)
            else _change(keys, found, change)
        )
    return validate_pipeline(values, "pipeline")


def _change(keys: str, written: str | None, change: Callable[[str], str]) -> str | None:
    if written is None or not _is_path(keys, written):
        return written
    if keys == "backbone.name":
        prefix = next((p for p in _PREFIXES if written.startswith(p)), "")
        place = change(written.removeprefix(prefix))
        # A preset's name looks like a folder's.
        return prefix + place if Path(place).exists() else written
    return change(written)


def _is_path(keys: str, written: str) -> bool:
    """Whether a value may name a file or folder, relative to a folder."""
    if Path(written).is_absolute() or written.startswith("~"):
        return False
    if keys == "data.path":
        return not written.startswith("tfds:")
    if keys == "backbone.weights":
        return written not in _NO_WEIGHTS_FILE
    return keys != "backbone.name" or (written not in BACKBONES and "://" not in written)


def check_run_data(run: RunDirectory, pipeline: Pipeline, *, otherwise: str = "") -> None:
    """Look whether the data of a run are there, in an instant and without TensorFlow.

    Args:
        run: Whose they are.
        pipeline: Of `load_run_pipeline`.
        otherwise: What can be done without them.

    Raises:
        DataError: They are not; it says what was looked for and where the run began.
    """
    try:
        check_source(pipeline.data)
    except DataError as error:
        written = load_pipeline(str(run.pipeline))
        started_in = Roots.of(run, written).started_in
        where = f" and was started in {started_in}" if started_in else ""
        raise DataError(
            f"{run.path}: the data of this run were not found. {error} The run names them "
            f"{written.data.path!r}{where}. If they have moved, say where they are with "
            f"--data PATH.{otherwise}"
        ) from None


def describe_data_set(pipeline: Pipeline, fingerprint: str) -> dict[str, Any]:
    """What a card says of the data that a model was trained on, as JSON values."""
    return {"path": make_absolute(pipeline).data.path, "fingerprint": fingerprint}
