"""`kft train`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kft.cli.options import (
    on_bad_option,
    optional_source_argument,
    overrides_argument,
    run_id_option,
    trust_option,
    with_options,
)


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
    accept_changes: bool,
) -> None:
    """From labelled pictures to a measured, exported model.

    SOURCE is a folder of class folders (with or without train, validation and
    holdout folders above them), a CSV, TSV or Parquet table, TFRecord files,
    tfds:NAME, or a pipeline file. Any setting of the pipeline can be overridden
    by KEY.PATH=VALUE; `kft check SOURCE` prints them all.

    A run that was stopped, by Ctrl-C, a signal or a power cut, goes on with
    --resume, and ends with the weights that it would have had.

    \b
    Examples:
      kft train photos/
      kft train photos/ backbone.name=resnet50 strategy.name=linear_probe
      kft train pipelines/lp_ft.yaml data.path=photos training.seed=3
      kft train --resume runs/photos/RUN_ID
    """
    from kft.cli.output import show_finished
    from kft.cli.startup import start_tensorflow
    from kft.config import load_pipeline
    from kft.runs import is_run, open_interrupted

    if resumed is None and source is not None and is_run(source):
        resumed, source = _offer(Path(source)), None
    if resumed is not None:
        if run_id is not None:
            raise click.UsageError("--run-id names a new run; --resume goes on with an old one.")
        # Before the seconds of an import: another process may hold it.
        run = open_interrupted(resumed)
        # What seemed to be the data is the first override.
        overrides = (*([source] if source is not None else []), *overrides)
        given = with_options(overrides, trust=trust, on_bad=on_bad)
        start_tensorflow(load_pipeline(str(run.pipeline), given))

        from kft.training import Display
        from kft.workflow import resume

        show_finished(resume(resumed, Display(), overrides=given, accept_changes=accept_changes))
        return
    if source is None:
        raise click.UsageError("Name the data or a pipeline file, or a run with --resume.")
    if accept_changes:
        raise click.UsageError("--accept-changes goes with --resume.")
    pipeline = load_pipeline(source, with_options(overrides, trust=trust, on_bad=on_bad))
    start_tensorflow(pipeline)

    from kft.training import Display
    from kft.workflow import train

    show_finished(train(pipeline, Display(), run_id=run_id))


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
