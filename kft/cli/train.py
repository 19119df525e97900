"""`kft train`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import (
    on_invalid_file_option,
    optional_source_argument,
    overrides_argument,
    run_id_option,
    trust_option,
    with_options,
)

if TYPE_CHECKING:
    from kft.display import Display
    from kft.workers import Cluster
    from kft.workflow import Finished


@click.command("train", short_help="Train, evaluate and export a model of labelled pictures.")
@optional_source_argument
@overrides_argument
@trust_option
@on_invalid_file_option
@run_id_option
@click.option(
    "--resume",
    "resumed",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Resume a run that was stopped, at the step where it stopped.",
)
@click.option(
    "--data",
    metavar="PATH",
    help="With --resume: new path of the run's data, if they have moved.",
)
@click.option(
    "--resume-if-started",
    is_flag=True,
    help="With --run-id: resume the run if it has begun (for restarted jobs).",
)
@click.option(
    "--scratch",
    is_flag=True,
    help="Also train the same network from random weights, to see what its pretraining is worth.",
)
@click.option(
    "--accept-changes",
    is_flag=True,
    help="With --resume: resume although data, settings, weights or versions have changed.",
)
def command(
    source: str | None,
    overrides: tuple[str, ...],
    trust: bool,
    *,
    on_invalid_file: str | None,
    run_id: str | None,
    resumed: Path | None,
    data: str | None,
    resume_if_started: bool,
    scratch: bool,
    accept_changes: bool,
) -> None:
    """Train, evaluate and export a model of labelled pictures.

    SOURCE is a folder of class folders (with or without train, validation and
    holdout folders above them), a CSV, TSV or Parquet table, TFRecord files,
    tfds:NAME, or a pipeline file. Any setting of the pipeline can be overridden
    by KEY.PATH=VALUE; `kft check SOURCE` prints them all.

    A run that was stopped, by Ctrl-C, a signal or a power cut, can be resumed
    with --resume from any directory, and ends with the weights of an
    uninterrupted run.

    \b
    Examples:
      kft train photos/
      kft train photos/ backbone.name=resnet50 strategy.name=linear_probe
      kft train pipelines/lp_ft.yaml data.path=photos training.seed=3
      kft train --resume runs/photos/RUN_ID
      kft train --resume runs/photos/RUN_ID --data /mnt/moved/photos
      kft train photos/ --run-id nightly --resume-if-started
    """
    from kft.runs import is_run
    from kft.workers import read_cluster

    cluster = read_cluster()
    given = with_options(overrides, trust=trust, on_invalid_file=on_invalid_file)
    is_offered = resumed is None and source is not None and is_run(source)
    if is_offered and source is not None:
        resumed, source = Path(source), None
    if scratch and (resumed is not None or cluster is not None):
        raise click.UsageError("--scratch goes with a new run on one machine.")
    if resumed is not None:
        if run_id is not None or resume_if_started:
            raise click.UsageError(
                "--resume names a run by its directory: remove --run-id and --resume-if-started."
            )
        # With --resume, the first argument is an override rather than data.
        given = [*([source] if source is not None else []), *given]
        _resume(
            resumed,
            given,
            data=data,
            accept_changes=accept_changes,
            is_offered=is_offered,
            cluster=cluster,
        )
    else:
        if source is None:
            raise click.UsageError("Give the data, a pipeline file, or a run with --resume.")
        if accept_changes:
            raise click.UsageError("--accept-changes needs --resume.")
        if data is not None:
            raise click.UsageError(
                "--data needs --resume; for a new run, give the data as the first argument."
            )
        if resume_if_started and run_id is None:
            raise click.UsageError("--resume-if-started needs --run-id, the name of the run.")
        _begin(
            source,
            given,
            run_id=run_id,
            resume_if_started=resume_if_started,
            scratch=scratch,
            cluster=cluster,
        )
    if cluster is not None:
        _leave()


def _resume(
    path: Path,
    given: list[str],
    *,
    data: str | None,
    accept_changes: bool,
    is_offered: bool,
    cluster: Cluster | None,
) -> None:
    from kft.provenance import read_interrupted
    from kft.startup import start_tensorflow

    is_chief = cluster is None or cluster.is_chief
    interrupted = read_interrupted(path, given, data=data, is_chief=is_chief)
    if is_offered:
        _offer(path)
    display = _make_display(cluster)
    start_tensorflow(interrupted.pipeline)

    from kft.workflow import resume

    _show(resume(interrupted, display, accept_changes=accept_changes, cluster=cluster), cluster)


def _begin(
    source: str,
    given: list[str],
    *,
    run_id: str | None,
    resume_if_started: bool,
    scratch: bool,
    cluster: Cluster | None,
) -> None:
    from kft.config import load_pipeline
    from kft.run_start import AlreadyFinished, begin, begin_or_resume

    pipeline, display = load_pipeline(source, given), _make_display(cluster)
    if resume_if_started and run_id is not None:
        started = begin_or_resume(pipeline, display, run_id=run_id, cluster=cluster)
    else:
        started = begin(pipeline, display, run_id=run_id, cluster=cluster)
    if not isinstance(started, AlreadyFinished):
        if scratch:
            from kft.run_operations.scratch import compare_with_scratch

            compare_with_scratch(started, display)
        _show(started, cluster)
    elif started.export is not None:
        from kft.cli.output import show_export

        show_export(started.export)


def _show(finished: Finished, cluster: Cluster | None) -> None:
    """Print the results of the run on the chief."""
    if cluster is None or cluster.is_chief:
        from kft.cli.output import show_finished

        show_finished(finished)


def _make_display(cluster: Cluster | None) -> Display:
    """Make a display that shows progress on the chief, and nothing on other workers."""
    from rich.console import Console

    from kft.display import Display

    if cluster is None or cluster.is_chief:
        return Display()
    click.echo(
        f"Worker {cluster.number} of {len(cluster.addresses)}; the chief, worker 0, shows the "
        "progress.",
        err=True,
    )
    return Display(Console(quiet=True))


def _offer(path: Path) -> None:
    """Ask whether to resume a run that was given in place of data.

    Raises:
        UsageError: The user declines, or standard input is not a terminal.
    """
    if sys.stdin.isatty() and click.confirm(f"{path} is a run that was stopped. Resume it?"):
        return
    raise click.UsageError(
        f"{path} is a run that was stopped, not data. Resume it with `kft train --resume {path}`."
    )


def _leave() -> None:
    """End this worker at once, because TensorFlow's shutdown would wait for workers that left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
