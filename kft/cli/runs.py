"""`kft runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("runs", short_help="List the runs.")
@click.option(
    "--directory", default="runs", show_default=True, metavar="PATH", help="Folder of all runs."
)
@form_options
def command(directory: str, form: Form) -> None:
    """List the runs of a folder with their state, time, and score on the holdout.

    \b
    Examples:
      kft runs
      kft runs --csv > runs.csv
    """
    from kft.cli.output import show_runs
    from kft.runs import find_runs

    show_runs(find_runs(directory), directory, form)
