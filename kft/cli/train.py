"""`kft train`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import (
    on_bad_option,
    optional_source_argument,
    overrides_argument,
    run_id_option,
    trust_option,
    with_options,
)

if TYPE_CHECKING:
    from kft.config import Pipeline
    from kft.display import Display
    from kft.workers import Cluster
    from kft.workflow import Finished


@click.command("train", short_help="From labelled pictures to a measured, exported model.")
@optional_source_argument
@overrides_argument
@trust_option
@on_bad_option
@run_id_option
@click.option(
    "--resume",
    "resumed",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Go on with a run that was stopped, in the step where it was.",
)
@click.option(
    "--data",
    metavar="PATH",
    help="With --resume: where the data of the run are now, if they have moved.",
)
@click.option(
    "--or-resume",
    is_flag=True,
    help="With --run-id: go on with that run where it has begun, as a job that is started again "
    "must.",
)
@click.option(
    "--accept-changes",
    is_flag=True,
    help="With --resume: go on although data, settings, weights or versions have changed.",
)
def command(
    source: str | None,
    overrides: tuple[str, ...],
    trust: bool,
    *,
    on_bad: str | None,
    run_id: str | None,
    resumed: Path | None,
    data: str | None,
    or_resume: bool,
    accept_changes: bool,
) -> None:
    """From labelled pictures to a measured, exported model.

    SOURCE is a folder of class folders (with or without train, validation and
    holdout folders above them), a CSV, TSV or Parquet table, TFRecord files,
    tfds:NAME, or a pipeline file. Any setting of the pipeline can be overridden
    by KEY.PATH=VALUE; `kft check SOURCE` prints them all.

    A run that was stopped, by Ctrl-C, a signal or a power cut, goes on with
    --resume, from any directory, and ends with the weights that it would have
    had.

    \b
    Examples:
      kft train photos/
      kft train photos/ backbone.name=resnet50 strategy.name=linear_probe
      kft train pipelines/lp_ft.yaml data.path=photos training.seed=3
      kft train --resume runs/photos/RUN_ID
      kft train --resume runs/photos/RUN_ID --data /mnt/moved/photos
      kft train photos/ --run-id nightly --or-resume
    """
    from kft.runs import is_run
    from kft.workers import read_cluster

    cluster = read_cluster()
    given = with_options(overrides, trust=trust, on_bad=on_bad)
    if resumed is None and source is not None and is_run(source):
        resumed, source = _offer(Path(source)), None
    if resumed is not None:
        if run_id is not None or or_resume:
            raise click.UsageError(
                "--run-id and --or-resume name a run by its pipeline; --resume by its directory."
            )
        # What seemed to be the data is the first override.
        given = [*([source] if source is not None else []), *given]
        finished = _resume(
            resumed, given, accept_changes=accept_changes, data=data, cluster=cluster
        )
    else:
        if source is None:
            raise click.UsageError("Name the data or a pipeline file, or a run with --resume.")
        if accept_changes:
            raise click.UsageError("--accept-changes goes with --resume.")
        if data is not None:
            raise click.UsageError(
                "--data goes with --resume; of a new run the data are named without it."
            )
        if or_resume and run_id is None:
            raise click.UsageError("--or-resume needs --run-id, which names the run.")
        begun = _begin(source, given, run_id=run_id, or_resume=or_resume, cluster=cluster)
        if begun is None:
            return
        finished = begun
    if _is_chief(cluster):
        from kft.cli.output import show_finished

        show_finished(finished)
    if cluster is not None:
        # All are done, and leave now. TensorFlow's own farewell waits for those that have left.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _resume(
    path: Path,
    given: list[str],
    *,
    accept_changes: bool,
    data: str | None,
    cluster: Cluster | None,
) -> Finished:
    from kft.provenance import check_run_data, load_run_pipeline
    from kft.runs import find_run, open_interrupted
    from kft.startup import start_tensorflow

    # Before the seconds of an import: another process may hold it.
    run = open_interrupted(path) if _is_chief(cluster) else find_run(path)
    pipeline = load_run_pipeline(run, given, data=data)
    check_run_data(run, pipeline)
    start_tensorflow(pipeline)

    from kft.workflow import resume

    return resume(
        path,
        _make_display(cluster),
        overrides=given,
        accept_changes=accept_changes,
        data=data,
        cluster=cluster,
    )


def _begin(
    source: str,
    given: list[str],
    *,
    run_id: str | None,
    or_resume: bool,
    cluster: Cluster | None,
) -> Finished | None:
    """The run that was trained; None if it was finished before."""
    from kft.config import load_pipeline
    from kft.startup import start_tensorflow

    pipeline = load_pipeline(source, given)
    if or_resume and run_id is not None and _is_finished(pipeline, run_id, cluster):
        return None
    start_tensorflow(pipeline)

    from kft.workflow import train

    return train(
        pipeline, _make_display(cluster), run_id=run_id, or_resume=or_resume, cluster=cluster
    )


def _is_chief(cluster: Cluster | None) -> bool:
    return cluster is None or cluster.is_chief


def _make_display(cluster: Cluster | None) -> Display:
    """What the chief of a cluster shows for all."""
    from rich.console import Console

    from kft.display import Display

    if cluster is None or cluster.is_chief:
        return Display()
    click.echo(
        f"Worker {cluster.number} of {len(cluster.addresses)}; the first one, the chief, says how "
        "it goes.",
        err=True,
    )
    return Display(Console(quiet=True))


def _is_finished(pipeline: Pipeline, run_id: str, cluster: Cluster | None) -> bool:
    """Whether the run that is to be gone on with is finished, told to the user.

    An export that it was stopped in is made by the chief.

    Raises:
        ChangedRunError: It is, but of other settings or data.
    """
    from kft.provenance import check_same_as_finished
    from kft.runs import find_finished
    from kft.startup import start_tensorflow

    run = find_finished(pipeline.runs_directory, pipeline.name, run_id)
    if run is None:
        return False
    check_same_as_finished(run, pipeline)
    click.echo(f"{run.path} is finished; its settings and data are those asked for.", err=True)
    if pipeline.export.enabled and "export" not in run.read_status() and _is_chief(cluster):
        start_tensorflow()
        from kft.cli.output import show_export
        from kft.display import Display
        from kft.run_operations.export import export_run

        show_export(export_run(run.path, Display()))
    return True


def _offer(path: Path) -> Path:
    """The run that was named where data are expected, if it is to be resumed.

    Raises:
        UsageError: It is not, or nobody can be asked.
    """
    from kft.runs import open_interrupted

    open_interrupted(path)
    if sys.stdin.isatty() and click.confirm(f"{path} is a run that was stopped. Resume it?"):
        return path
    raise click.UsageError(
        f"{path} is a run that was stopped, not data. Resume it with `kft train --resume {path}`."
    )
