"""`kft export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export", short_help="Export a finished run once more.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--directory", metavar="PATH", help="Folder of exports; by default the run's own setting."
)
def command(run: Path, directory: str | None) -> None:
    """Export a finished run once more, as the next version.

    The export is written to DIRECTORY/NAME/VERSION only if it answers as the
    trained model does, asked about real files in a process without kft.

    \b
    Examples:
      kft export runs/photos/RUN_ID
      kft export runs/photos/RUN_ID --directory /srv/models
    """
    from kft.cli.output import show_export
    from kft.cli.startup import start_tensorflow

    start_tensorflow()

    from kft.finished import export_run
    from kft.training import Display

    show_export(export_run(run, Display(), directory=directory))
