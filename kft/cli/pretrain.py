"""`kft pretrain`."""

from __future__ import annotations

import click

from kft.cli.options import on_invalid_file_option, pipeline_options, run_id_option, with_options


@click.command("pretrain", short_help="Train your own backbone from random weights.")
@pipeline_options
@on_invalid_file_option
@run_id_option
def command(
    source: str,
    overrides: tuple[str, ...],
    trust: bool,
    *,
    on_invalid_file: str | None,
    run_id: str | None,
) -> None:
    """Train your own backbone from random weights on labelled pictures.

    The backbone is saved as runs/NAME/RUN_ID/backbone; give this path as
    `backbone.name` to use it. By default it is small_cnn; every registered
    backbone can be pretrained.

    \b
    Examples:
      kft pretrain pictures/
      kft pretrain pictures/ backbone.options.width=32 strategy.duration="60 epochs"
      kft train photos/ backbone.name=runs/pictures/RUN_ID/backbone
    """
    from kft.cli.output import show_finished
    from kft.config import PRETRAINING_OVERRIDES, is_pipeline_file, load_pipeline
    from kft.startup import start_tensorflow

    # A pipeline file is complete; a data path gets the default settings of pretraining.
    defaults = [] if is_pipeline_file(source) else PRETRAINING_OVERRIDES
    pipeline = load_pipeline(
        source, [*defaults, *with_options(overrides, trust=trust, on_invalid_file=on_invalid_file)]
    )
    start_tensorflow(pipeline)

    from kft.display import Display
    from kft.workflow import train

    show_finished(train(pipeline, Display(), run_id=run_id, keep_backbone=True))
