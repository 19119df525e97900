"""`kft compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("compare", short_help="Compare finished runs.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--split",
    metavar="NAME",
    help="What to compare on: holdout (the default), validation, or other-NAME as judged by "
    "`kft evaluate --data`.",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="HTML file to write, in the style of a report.",
)
@form_options
def command(runs: tuple[Path, ...], *, split: str | None, output: Path | None, form: Form) -> None:
    """Compare finished runs: figures, what is beyond chance, and what differs.

    The others are compared with the first run, example by example where all were
    judged on the same ones: right answers by McNemar's test, losses of numbers and
    labels by Wilcoxon's, corrected for the number of runs. Only files of the runs
    are read.

    \b
    Examples:
      kft compare runs/photos/FIRST runs/photos/SECOND
      kft compare runs/photos/FIRST runs/photos/SECOND --output comparison.html
    """
    from kft.cli.comparison_output import show_comparison
    from kft.comparison import compare_runs, write_comparison

    comparison = compare_runs(runs, split=split)
    if output is not None:
        write_comparison(comparison, output)
    show_comparison(comparison, form, output)
