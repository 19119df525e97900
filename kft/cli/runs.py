"""`kft runs`."""

from __future__ import annotations

import click


@click.command("runs", short_help="List the runs.")
@click.option(
    "--directory", default="runs", show_default=True, metavar="PATH", help="Folder of all runs."
)
def command(directory: str) -> None:
    """List the runs of a folder: state, time, and how they did on the holdout.

    \b
    Example:
      kft runs
    """
    from kft.cli.output import show_runs
    from kft.runs import find_runs

    show_runs(find_runs(directory), directory)
