"""`kft tune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, pipeline_options, with_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("tune", short_help="Search for the best settings, then run them.")
@pipeline_options
@form_options
def command(source: str, overrides: tuple[str, ...], trust: bool, form: Form) -> None:
    """Search for the best settings, then run them in full.

    Trials are judged on validation; the holdout is judged once, for the best.
    `tuning.space` defines the search; by default it is the learning rate of full
    fine-tuning. A search that was stopped is resumed by the same command.

    \b
    Examples:
      kft tune photos/ tuning.trials=6
      kft tune photos/ 'tuning.space={head.dropout: {values: [0, 0.3]}}' tuning.oracle=grid
    """
    from kft.cli.output import show_tuned
    from kft.config import load_pipeline
    from kft.startup import start_tensorflow

    pipeline = load_pipeline(source, with_options(overrides, trust=trust))
    start_tensorflow(pipeline)

    from kft.display import Display
    from kft.tuning import tune

    show_tuned(tune(pipeline, Display()), form)
