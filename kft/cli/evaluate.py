"""`kft evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, overrides_argument

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("evaluate", short_help="Show the metrics of a finished run.")
@click.argument("run", type=click.Path(path_type=Path))
@overrides_argument
@click.option(
    "--split",
    type=click.Choice(["holdout", "validation"]),
    help="Split of the run's own data; by default the holdout.",
)
@click.option("--data", metavar="PATH", help="Other labelled data to evaluate on.")
@form_options
def command(
    run: Path,
    overrides: tuple[str, ...],
    *,
    split: str | None,
    data: str | None,
    form: Form,
) -> None:
    """Show the metrics of a finished run.

    The holdout was judged once, when the run ended; its metrics are read from
    the run. With --data, the model is evaluated on other labelled data, and
    metrics.json, predictions.csv and, for classes, confusion.csv are written into
    the run. If there are many classes, the worst are shown; --json prints all
    metrics, --csv those of each class.

    The run decides the kind of target and the classes; data.KEY=VALUE changes how
    other data are read.

    \b
    Examples:
      kft evaluate runs/photos/RUN_ID
      kft evaluate runs/photos/RUN_ID --split validation --json
      kft evaluate runs/photos/RUN_ID --data new_photos/
      kft evaluate runs/photos/RUN_ID --data new.csv data.table.path_column=image
    """
    if split and data:
        raise click.UsageError(
            "--split selects the run's own data, --data other data: give only one of them."
        )
    if overrides and not data:
        raise click.UsageError(
            f"{overrides[0]}: settings change how the data of --data are read, but --data is not "
            "given; the run's own data are not read again."
        )
    from kft.cli.ladder_output import show_ladder
    from kft.cli.output import list_figures, show_figures
    from kft.cli.records import print_csv, print_document
    from kft.runs import RunDirectory
    from kft.startup import start_tensorflow

    start_tensorflow()

    from kft.display import Display
    from kft.run_operations.evaluate import evaluate_run

    figures = evaluate_run(run, Display(), split=split or "holdout", data=data, overrides=overrides)
    if form == "json":
        print_document(figures)
    elif form == "csv":
        print_csv(list_figures(figures))
    else:
        show_figures(figures, title=data or split or "holdout")
        # A pipe gets one table.
        if data is None and sys.stdout.isatty():
            show_ladder(RunDirectory(run).evaluation(split or "holdout"))
