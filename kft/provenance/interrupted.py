"""A run that was stopped, read once, before the seconds of TensorFlow's import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kft.config import Pipeline
from kft.provenance.places import check_run_data, load_run_pipeline
from kft.runs import find_run, open_interrupted


@dataclass(frozen=True)
class InterruptedRun:
    """A run to go on with.

    Attributes:
        path: Of its directory, by which people name it.
        pipeline: Of the run, with paths that lead to its files from here.
        data: Where its data are now, if they have moved.
    """

    path: Path
    pipeline: Pipeline
    data: str | None = None


def read_interrupted(
    path: Path | str,
    overrides: Sequence[str] = (),
    *,
    data: str | None = None,
    is_chief: bool = True,
) -> InterruptedRun:
    """Read a run that did not finish, and look whether its data are there.

    Args:
        path: Of its directory.
        overrides: Settings to change.
        data: Where its data are now, if they have moved.
        is_chief: Whether this process is to hold the run: of several workers one.

    Raises:
        RunError: There is no run at `path`, it finished, or a process holds it.
        ConfigError: Its pipeline is missing or damaged, or an override is refused.
        DataError: Its data are not where they were.
    """
    run = open_interrupted(path) if is_chief else find_run(path)
    pipeline = load_run_pipeline(run, overrides, data=data)
    check_run_data(run, pipeline)
    return InterruptedRun(Path(path), pipeline, data)
