"""`kft export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export", short_help="Export a finished run again.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--directory", metavar="PATH", help="Folder of exports; by default the run's own setting."
)
@click.option("--name", help="Name of the model; by default the run's own.")
@click.option(
    "--next-version",
    type=click.Choice(["same", "any"]),
    help="`any` allows the model to follow a version with other classes or data.",
)
@click.option("--data", metavar="PATH", help="New path of the run's data, if they have moved.")
@click.option(
    "--files",
    multiple=True,
    metavar="FILES...",
    help="Pictures, folders or globs for the parity check, instead of the run's data.",
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
    """Export a finished run again, as the next version.

    The export is written to DIRECTORY/NAME/VERSION only if its answers match the
    trained model's. This parity check uses real files, from the run's own data
    or --files, and a process without kft.

    \b
    Examples:
      kft export runs/photos/RUN_ID
      kft export runs/photos/RUN_ID --directory /srv/models
      kft export runs/photos/RUN_ID --data /mnt/moved/photos
      kft export runs/photos/RUN_ID --files new/*.jpg
    """
    if more_files and not files:
        raise click.UsageError(f"{more_files[0]}: unexpected argument. Give pictures with --files.")
    if files and data is not None:
        raise click.UsageError(
            "--files replaces the data that --data names: give only one of them."
        )
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
