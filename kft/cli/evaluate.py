"""`kft evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, overrides_argument

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("evaluate", short_help="Show how a finished run does.")
@click.argument("run", type=click.Path(path_type=Path))
@overrides_argument
@click.option(
    "--split",
    type=click.Choice(["holdout", "validation"]),
    help="Which of the run's own splits; by default the holdout.",
)
@click.option("--data", metavar="PATH", help="Judge the model on other labelled data instead.")
@form_options
def command(
    run: Path,
    overrides: tuple[str, ...],
    *,
    split: str | None,
    data: str | None,
    form: Form,
) -> None:
    """Show how a finished run does.

    The holdout was judged once, when the run ended; its figures are read from
    the run. With --data, the model is judged on other labelled data, and
    metrics.json, predictions.csv and, of classes, confusion.csv are written into
    the run. Of many classes the worst are shown; --json prints all figures, --csv
    those of each class.

    What a label is, and the classes, come from the run; data.KEY=VALUE says how
    the other data are read.

    \b
    Examples:
      kft evaluate runs/photos/RUN_ID
      kft evaluate runs/photos/RUN_ID --split validation --json
      kft evaluate runs/photos/RUN_ID --data new_photos/
      kft evaluate runs/photos/RUN_ID --data new.csv data.table.path_column=image
    """
    if split and data:
        raise click.UsageError("--split names the run's own data, --data other data: give one.")
    if overrides and not data:
        raise click.UsageError(
            f"{overrides[0]}: settings say how the data of --data are read; the run's own are as "
            "it read them."
        )
    from kft.cli.output import list_figures, show_figures
    from kft.cli.records import print_csv, print_document
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
