"""The data of a finished run, read again after a check that they are the same."""

from __future__ import annotations

from kft.config import Pipeline
from kft.data import load_splits
from kft.display import Display
from kft.errors import DataError
from kft.examples import Splits
from kft.provenance import check_run_data, describe_changes, find_other_data
from kft.runs import RunDirectory


def load_run_splits(
    run: RunDirectory, pipeline: Pipeline, display: Display, *, alternative: str = ""
) -> Splits:
    """Load the splits of a run's own data.

    Args:
        run: The run.
        pipeline: Result of `load_run_pipeline`.
        display: Shows the progress.
        alternative: Sentence for messages on what is possible without the data.

    Raises:
        DataError: The data are missing or have changed.
    """
    check_run_data(run, pipeline, alternative=alternative)
    with display.track("Checking every file") as advance:
        splits = load_splits(
            pipeline.data, progress=advance, output_folders=pipeline.output_folders
        )
    changes = find_other_data(run, splits)
    if changes:
        raise DataError(
            f"{pipeline.data.path}: these are not the examples of the run {run.path}.\n"
            f"{describe_changes(changes)}\nGive the path of the run's examples with --data PATH."
            f"{alternative}"
        )
    return splits
