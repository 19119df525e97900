"""Resolution of the paths in a run's pipeline to files and folders."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kft.backbones import BACKBONES
from kft.config import (
    PRETRAINED,
    Pipeline,
    load_pipeline,
    override_pipeline,
    validate_pipeline,
)
from kft.data.loading import check_source
from kft.errors import DataError
from kft.runs import RunDirectory
from kft.runs.layout import read_json
from kft.runs.storage import find_obstacle

_READ = ("data.path", "data.split.file", "backbone.name", "backbone.weights")
_READ_LISTS = ("data.folders.allowed_roots", "data.table.allowed_roots")
_WRITTEN = ("export.directory", "runs_directory")
# Prefixes of a folder in the name of a backbone.
_PREFIXES = ("keras_hub:", "hub:")
_NO_WEIGHTS_FILE = (PRETRAINED, "random")


@dataclass(frozen=True)
class Roots:
    """Folders to which the relative paths of a run's pipeline may refer.

    Attributes:
        started_in: Working directory in which the run started; None if not recorded.
        implied: Folder below which the run lies at RUNS_DIRECTORY/NAME/RUN_ID, so that a project
            can be moved or copied as a whole; None if the run lies elsewhere.
    """

    started_in: Path | None
    implied: Path | None

    @classmethod
    def of(cls, run: RunDirectory, pipeline: Pipeline) -> Roots:
        """Find the roots of a run."""
        recorded = read_json(run.manifest) if run.manifest.is_file() else {}
        started_in = recorded.get("working_directory")
        implied = _strip(Path(absolute(run.path)), Path(pipeline.runs_directory))
        return cls(Path(started_in) if started_in else None, implied)

    def find(self, written: str) -> str:
        """Resolve a path that is read: the first that exists, else the one from `started_in`.

        A path that resolves to the same file from the working directory stays as written. Old
        runs have no record of their start: their paths may refer to the working directory.
        """
        roots = [self.started_in or Path.cwd(), *([self.implied] if self.implied else [])]
        places = [root / written for root in roots]
        return _shorten(next(filter(_exists, places), places[0]), written)

    def place(self, written: str) -> str:
        """Resolve a path that is written to, which may not exist."""
        roots = (self.implied, self.started_in)
        # The run may have been copied from a read-only folder.
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
    """Find the folder below which a run lies at RUNS_DIRECTORY/NAME/RUN_ID; else None."""
    depth = len(runs_directory.parts) + 2
    is_below = run.parts[-depth:-2] == runs_directory.parts
    return run.parents[depth - 1] if is_below and len(run.parts) > depth else None


def _exists(path: Path) -> bool:
    """Tell whether a path exists, or matches a file as a glob pattern."""
    if os.path.lexists(path):
        return True
    pattern = path.relative_to(path.anchor).as_posix()
    return glob.has_magic(pattern) and any(True for _ in Path(path.anchor).glob(pattern))


def absolute(path: Path | str) -> str:
    """Make a path absolute without resolving links.

    >>> absolute("/data/runs/../photos")
    '/data/photos'
    """
    return os.path.normpath(Path(path).absolute())


def _shorten(place: Path, written: str) -> str:
    return written if absolute(written) == absolute(place) else absolute(place)


def load_run_pipeline(
    run: RunDirectory, overrides: Sequence[str] = (), *, data: str | None = None
) -> Pipeline:
    """Load the pipeline of a run, with paths resolved from the working directory.

    Args:
        run: The run, in any state.
        overrides: Settings to change, whose paths refer to the working directory.
        data: Current path of the data, if they have moved.

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
    """Make all paths of a pipeline absolute."""
    return change_paths(pipeline, read=absolute, written_to=absolute)


def change_paths(
    pipeline: Pipeline, *, read: Callable[[str], str], written_to: Callable[[str], str]
) -> Pipeline:
    """Change each relative path of a pipeline.

    Args:
        pipeline: The pipeline.
        read: Function applied to paths that a run reads.
        written_to: Function applied to folders that a run writes to.
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
        # The name of a preset looks like that of a folder.
        return prefix + place if Path(place).exists() else written
    return change(written)


def _is_path(keys: str, written: str) -> bool:
    """Tell whether a value may be a relative path."""
    if Path(written).is_absolute() or written.startswith("~"):
        return False
    if keys == "data.path":
        return not written.startswith("tfds:")
    if keys == "backbone.weights":
        return written not in _NO_WEIGHTS_FILE
    return keys != "backbone.name" or (written not in BACKBONES and "://" not in written)


def check_run_data(run: RunDirectory, pipeline: Pipeline, *, alternative: str = "") -> None:
    """Refuse a run whose data are missing, quickly and without TensorFlow.

    Args:
        run: The run.
        pipeline: Result of `load_run_pipeline`.
        alternative: Sentence for the message on what is possible without the data.

    Raises:
        DataError: The data are missing; the message gives their path and where the run started.
    """
    try:
        check_source(pipeline.data)
    except DataError as error:
        written = load_pipeline(str(run.pipeline))
        started_in = Roots.of(run, written).started_in
        where = f", and the run was started in {started_in}" if started_in else ""
        raise DataError(
            f"{run.path}: the data of this run were not found. {error} The run's data.path is "
            f"{written.data.path!r}{where}. If the data have moved, give their path with "
            f"--data PATH.{alternative}"
        ) from None


def describe_data_set(pipeline: Pipeline, fingerprint: str) -> dict[str, Any]:
    """Describe the training data for a model card, as JSON values."""
    return {"path": make_absolute(pipeline).data.path, "fingerprint": fingerprint}
