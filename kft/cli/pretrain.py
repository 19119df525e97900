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
    """Train your own backbone from random weights.

    Pictures and recordings need labels. Texts need none: a .txt file, or a
    folder of them, of which each line is a text, or a table with
    data.table.text_columns. The backbone learns to name hidden words, or the
    next word if it reads in one direction.

    The backbone is saved as runs/NAME/RUN_ID/backbone; give this path as
    `backbone.name` to use it. By default it is small_cnn for pictures and
    small_transformer for texts; every registered backbone can be pretrained.
    A run on texts that was stopped goes on if the command is given again with
    the same --run-id; others go on with `kft train --resume`.

    \b
    Examples:
      kft pretrain pictures/
      kft pretrain pictures/ backbone.options.width=32 strategy.duration="60 epochs"
      kft pretrain texts.txt --run-id words
      kft pretrain texts.txt backbone.name=small_lstm
      kft train photos/ backbone.name=runs/pictures/RUN_ID/backbone
    """
    from kft.pretraining.settings import load_pretraining, needs_no_labels
    from kft.startup import start_tensorflow

    given = with_options(overrides, trust=trust, on_invalid_file=on_invalid_file)
    pipeline = load_pretraining(source, given)
    start_tensorflow(pipeline)

    from kft.display import Display

    if needs_no_labels(pipeline):
        from kft.cli.output import show_pretrained
        from kft.pretraining.running import pretrain

        show_pretrained(pretrain(pipeline, Display(), run_id=run_id))
        return
    from kft.cli.output import show_finished
    from kft.workflow import train

    show_finished(train(pipeline, Display(), run_id=run_id, keep_backbone=True))
