"""`kft find-learning-rate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, pipeline_options, with_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command(
    "find-learning-rate", short_help="Find a learning rate by a range test, with a plot."
)
@pipeline_options
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("find-learning-rate.png"),
    show_default=True,
    help="PNG file to write the plot to.",
)
@form_options
def command(source: str, overrides: tuple[str, ...], trust: bool, output: Path, form: Form) -> None:
    """Find a learning rate for fine-tuning by a range test, with a plot.

    The learning rate of the first phase that trains the backbone rises from 1e-6
    to 1 in 100 steps, or until the loss explodes. The suggestion is the rate at
    which the smoothed loss falls fastest. Only the plot is written. --json and
    --csv print the whole curve.

    \b
    Examples:
      kft find-learning-rate photos/
      kft find-learning-rate photos/ strategy.name=full training.optimizer=sgd --output sgd.png
      kft find-learning-rate pipelines/lp_ft.yaml data.path=photos --json
    """
    from kft.cli.records import print_csv, print_document
    from kft.config import load_pipeline
    from kft.runs.atomic import check_output_file
    from kft.startup import start_tensorflow

    check_output_file(output, "--output", ".png")
    pipeline = load_pipeline(source, with_options(overrides, trust=trust))
    start_tensorflow(pipeline)

    from kft.display import Display
    from kft.rate_finding import find_learning_rate

    found = find_learning_rate(pipeline, Display(), output=output)
    if form == "json":
        print_document(found.describe())
    elif form == "csv":
        print_csv(found.test.points())
    for line in found.sentences():
        click.echo(line, err=form != "text")
