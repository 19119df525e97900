"""`kft benchmark`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, overrides_argument, trust_option, with_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("benchmark", short_help="Find the fastest settings for this machine and model.")
@click.argument("source", metavar="[DATA|PIPELINE.yaml]", required=False)
@overrides_argument
@trust_option
@click.option(
    "--seconds",
    type=click.FloatRange(min=5.0),
    default=30.0,
    show_default=True,
    help="Time limit in seconds.",
)
@form_options
def command(
    source: str | None,
    overrides: tuple[str, ...],
    trust: bool,
    seconds: float,
    form: Form,
) -> None:
    """Find the fastest settings for this machine and model.

    Times training steps of the backbone at several batch sizes, in float32 and
    bfloat16, and with XLA, without reading data. The result is stored; from then
    on `auto` in training.precision, jit_compile and global_batch_size stands for
    it.

    Takes the arguments of `kft train`, or only settings.

    \b
    Examples:
      kft benchmark
      kft benchmark backbone.name=resnet50 backbone.input_size=160
      kft benchmark pipelines/lp_ft.yaml --json
    """
    from pathlib import Path

    from kft.config import load_pipeline
    from kft.timing import benchmark

    if source is not None and "=" in source and not Path(source).exists():
        overrides = (source, *overrides)
        source = None
    pipeline = load_pipeline(source, with_options(overrides, trust=trust))

    def say(text: str) -> None:
        click.echo(text, err=True)

    measured = benchmark(pipeline, say, budget_seconds=seconds)
    from kft.cli.benchmark_output import show_measured

    show_measured(measured, pipeline, form)
