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
    is_offered = resumed is None and source is not None and is_run(source)
    if is_offered and source is not None:
        resumed, source = Path(source), None
    if resumed is not None:
        if run_id is not None or or_resume:
            raise click.UsageError(
                "--run-id and --or-resume name a run by its pipeline; --resume by its directory."
            )
        # What seemed to be the data is the first override.
        given = [*([source] if source is not None else []), *given]
        _go_on(
            resumed,
            given,
            data=data,
            accept_changes=accept_changes,
            is_offered=is_offered,
            cluster=cluster,
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
        _begin(source, given, run_id=run_id, or_resume=or_resume, cluster=cluster)
    if cluster is not None:
        _leave()


def _go_on(
    path: Path,
    given: list[str],
    *,
    data: str | None,
    accept_changes: bool,
    is_offered: bool,
    cluster: Cluster | None,
) -> None:
    from kft.provenance import read_interrupted
    from kft.run_start import go_on

    is_chief = cluster is None or cluster.is_chief
    interrupted = read_interrupted(path, given, data=data, is_chief=is_chief)
    if is_offered:
        _offer(path)
    display = _make_display(cluster)
    _show(go_on(interrupted, display, accept_changes=accept_changes, cluster=cluster), cluster)


def _begin(
    source: str,
    given: list[str],
    *,
    run_id: str | None,
    or_resume: bool,
    cluster: Cluster | None,
) -> None:
    from kft.config import load_pipeline
    from kft.run_start import AlreadyFinished, begin, begin_or_go_on

    pipeline, display = load_pipeline(source, given), _make_display(cluster)
    if not or_resume or run_id is None:
        _show(begin(pipeline, display, run_id=run_id, cluster=cluster), cluster)
        return
    started = begin_or_go_on(pipeline, display, run_id=run_id, cluster=cluster)
    if not isinstance(started, AlreadyFinished):
        _show(started, cluster)
    elif started.export is not None:
        from kft.cli.output import show_export

        show_export(started.export)


def _show(finished: Finished, cluster: Cluster | None) -> None:
    """The chief shows the run for all."""
    if cluster is None or cluster.is_chief:
        from kft.cli.output import show_finished

        show_finished(finished)


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


def _offer(path: Path) -> None:
    """Ask whether to resume a run that was named where data are expected.

    Raises:
        UsageError: It is not to be resumed, or nobody can be asked.
    """
    if sys.stdin.isatty() and click.confirm(f"{path} is a run that was stopped. Resume it?"):
        return
    raise click.UsageError(
        f"{path} is a run that was stopped, not data. Resume it with `kft train --resume {path}`."
    )


def _leave() -> None:
    """End this worker: all are done, and TensorFlow's farewell would wait for those that left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
