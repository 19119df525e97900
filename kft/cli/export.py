"""`kft export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export", short_help="Export a finished run once more.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--directory", metavar="PATH", help="Folder of exports; by default the run's own setting."
)
@click.option("--name", help="Of the model; by default the run's own.")
@click.option(
    "--next-version",
    type=click.Choice(["same", "any"]),
    help="`any` lets the model follow a version of other classes or data.",
)
@click.option("--data", metavar="PATH", help="Where the run's data are now, if they have moved.")
@click.option(
    "--files",
    multiple=True,
    metavar="FILES...",
    help="Pictures, folders or globs that the parity check asks about; no data are needed then.",
)
@click.argument("more_files", nargs=-1, metavar="")
def command(
    run: Path,
    more_files: tuple[str, ...],
    *,
    directory: str | None,
    name: str | None,
    next_version: str | None,
    data: str | None,
    files: tuple[str, ...],
) -> None:
    """Export a finished run once more, as the next version.

    The export is written to DIRECTORY/NAME/VERSION only if it answers as the
    trained model does, asked about real files in a process without kft: some
    of the run's own data, or those of --files.

    \b
    Examples:
      kft export runs/photos/RUN_ID
      kft export runs/photos/RUN_ID --directory /srv/models
      kft export runs/photos/RUN_ID --data /mnt/moved/photos
      kft export runs/photos/RUN_ID --files new/*.jpg
    """
    if more_files and not files:
        raise click.UsageError(f"{more_files[0]}: pictures come after --files.")
    if files and data is not None:
        raise click.UsageError("--files takes the place of the data, which --data names: give one.")
    from kft.cli.output import show_export
    from kft.startup import start_tensorflow

    start_tensorflow()

    from kft.display import Display
    from kft.run_operations.export import Destination, export_run

    destination = Destination(directory, name, next_version)  # type: ignore[arg-type]
    show_export(
        export_run(
            run,
            Display(),
            destination=destination,
            data=data,
            files=(*files, *more_files),
        )
    )
