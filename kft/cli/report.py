"""`kft report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report", short_help="Write the report of a finished run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File to write; by default report.html in the run's folder of the evaluation.",
)
@click.option(
    "--split",
    metavar="NAME",
    help="What to report on: holdout (the default), validation, or other-NAME as judged by "
    "`kft evaluate --data`.",
)
def command(run: Path, *, output: Path | None, split: str | None) -> None:
    """Write the report of a finished run: one HTML file that needs no network.

    It says how good the model is and how sure that is, whether its
    probabilities come true, which classes and slices it fails on, shows its
    worst mistakes, and how it was made. A model card in Markdown, with the
    metadata of Hugging Face, is written beside it. Only the files of the run are
    read: nothing is computed again, and the data are needed only to show them.

    \b
    Examples:
      kft report runs/photos/RUN_ID
      kft report runs/photos/RUN_ID --split validation --output report.html
    """
    from kft.report import write_report

    click.echo(f"Report: {write_report(run, output, split=split)}")
