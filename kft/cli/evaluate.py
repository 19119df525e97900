"""`kft evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, overrides_argument

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.examples import SplitName


@click.command("evaluate", short_help="Show the metrics of a finished run.")
@click.argument("run", type=click.Path(path_type=Path))
@overrides_argument
@click.option(
    "--split",
    type=click.Choice(["holdout", "validation"]),
    help="Split of the run's own data; by default the holdout.",
)
@click.option("--data", metavar="PATH", help="Other labelled data to evaluate on.")
@click.option(
    "--robustness",
    is_flag=True,
    help="Judge the split again with noise, blur, typos and other corruptions at five strengths.",
)
@click.option(
    "--changes",
    is_flag=True,
    help="Compare the backbone with the pretrained one: how far blocks moved, what they compute.",
)
@click.option(
    "--source",
    metavar="PATH",
    help="With --changes: labelled data of a source task, to see what was forgotten of it.",
)
@form_options
def command(
    run: Path,
    overrides: tuple[str, ...],
    *,
    split: SplitName | None,
    data: str | None,
    robustness: bool,
    changes: bool,
    source: str | None,
    form: Form,
) -> None:
    """Show the metrics of a finished run.

    The holdout was judged once, when the run ended; its metrics are read from
    the run. With --data, the model is evaluated on other labelled data, and
    metrics.json, predictions.csv and, for classes, confusion.csv are written into
    the run. If there are many classes, the worst are shown; --json prints all
    metrics, --csv those of each class.

    --robustness and --changes need the run's data, and write robustness.json and
    changes.json into the run, where its report shows them.

    The run decides the kind of target and the classes; data.KEY=VALUE changes how
    other data are read.

    \b
    Examples:
      kft evaluate runs/photos/RUN_ID
      kft evaluate runs/photos/RUN_ID --split validation --json
      kft evaluate runs/photos/RUN_ID --data new_photos/
      kft evaluate runs/photos/RUN_ID --data new.csv data.table.path_column=image
      kft evaluate runs/photos/RUN_ID --robustness
      kft evaluate runs/photos/RUN_ID --changes --source imagenet_sample/
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
    if robustness + changes + bool(data) > 1 or (changes and split):
        raise click.UsageError(
            "--robustness, --changes and --data are different evaluations: give only one of them. "
            "--changes reads training examples, not a --split."
        )
    if source and not changes:
        raise click.UsageError("--source is for what --changes says: give both.")
    from kft.cli.ladder_output import show_ladder
    from kft.cli.output import list_figures, show_figures
    from kft.cli.records import print_csv, print_document
    from kft.runs import RunDirectory
    from kft.startup import start_tensorflow

    start_tensorflow()

    from kft.display import Display

    if robustness:
        from kft.cli.evaluation_output import show_robustness
        from kft.run_operations.robustness import measure_robustness

        show_robustness(measure_robustness(run, Display(), split=split), form)
        return
    if changes:
        from kft.cli.evaluation_output import show_changes
        from kft.run_operations.changes import measure_changes

        show_changes(measure_changes(run, Display(), source=source), form)
        return
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
