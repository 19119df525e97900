"""`kft find-lr`."""

from __future__ import annotations

from pathlib import Path

import click

from kft.cli.options import pipeline_options, with_options


@click.command("find-lr", short_help="Find a learning rate by a range test, with a plot.")
@pipeline_options
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("find-lr.png"),
    show_default=True,
    help="The plot, a PNG file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole curve as JSON.")
def command(
    source: str, overrides: tuple[str, ...], trust: bool, output: Path, as_json: bool
) -> None:
    """Find a learning rate for fine-tuning by a range test, with a plot.

    The first phase that trains the backbone is begun with a rate that rises
    from 1e-6 to 1 in 100 steps, until the loss explodes. Suggested is the
    rate at which the loss falls fastest. Nothing else is written.

    \b
    Examples:
      kft find-lr photos/
      kft find-lr photos/ strategy.name=full training.optimizer=sgd --output sgd.png
      kft find-lr pipelines/lp_ft.yaml data.path=photos --json
    """
    import json

    from kft.cli.startup import start_tensorflow
    from kft.config import load_pipeline

    pipeline = load_pipeline(source, with_options(overrides, trust=trust))
    start_tensorflow(pipeline)

    from kft.rate_finding import find_learning_rate
    from kft.training import Display

    found = find_learning_rate(pipeline, Display(), output=output)
    if as_json:
        click.echo(json.dumps(found.describe(), indent=2))
        return
    for line in found.sentences():
        click.echo(line)
