"""`kft train`."""

from __future__ import annotations

import click

from kft.cli.options import on_bad_option, pipeline_options, run_id_option, with_options


@click.command("train", short_help="From labelled pictures to a measured, exported model.")
@pipeline_options
@on_bad_option
@run_id_option
def command(
    source: str,
    overrides: tuple[str, ...],
    trust: bool,
    *,
    on_bad: str | None,
    run_id: str | None,
) -> None:
    """From labelled pictures to a measured, exported model.

    SOURCE is a folder of class folders (with or without train, validation and
    holdout folders above them), a CSV or TSV table, TFRecord files, tfds:NAME,
    or a pipeline file. Any setting of the pipeline can be overridden by
    KEY.PATH=VALUE; `kft check SOURCE` prints them all.

    \b
    Examples:
      kft train photos/
      kft train photos/ backbone.name=resnet50 strategy.name=linear_probe
      kft train pipelines/lp_ft.yaml data.path=photos training.seed=3
    """
    from kft.cli.output import show_finished
    from kft.cli.startup import start_tensorflow
    from kft.config import load_pipeline

    pipeline = load_pipeline(source, with_options(overrides, trust=trust, on_bad=on_bad))
    start_tensorflow(pipeline)

    from kft.training import Display
    from kft.workflow import train

    show_finished(train(pipeline, Display(), run_id=run_id))
