"""`kft check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kft.cli.options import (
    form_options,
    on_invalid_file_option,
    optional_source_argument,
    overrides_argument,
    trust_option,
    with_options,
)

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("check", short_help="Show what a run would do, without training.")
@optional_source_argument
@overrides_argument
@trust_option
@on_invalid_file_option
@click.option("--schema", is_flag=True, help="Print the JSON schema of pipeline files and exit.")
@form_options
def command(
    source: str | None,
    overrides: tuple[str, ...],
    trust: bool,
    *,
    on_invalid_file: str | None,
    schema: bool,
    form: Form,
) -> None:
    """Show what a run would do, without training.

    Prints the resolved pipeline with every default, the data and their split,
    the settings measured on this machine, the phases with their forecast and
    their treatment of every block, and the risks. --json prints everything,
    --csv the blocks of each phase.

    \b
    Examples:
      kft check photos/
      kft check pipelines/lp_ft.yaml data.path=photos
      kft check --schema > pipelines/pipeline.schema.json
    """
    if schema:
        from kft.config import format_schema

        click.echo(format_schema(), nl=False)
        return
    if source is None:
        raise click.UsageError("Give the data, a pipeline file, or --schema.")
    from kft.cli.plan_output import show_plan
    from kft.config import load_pipeline
    from kft.startup import start_tensorflow
    from kft.timing import describe_choices, load_measured

    pipeline = load_pipeline(
        source, with_options(overrides, trust=trust, on_invalid_file=on_invalid_file)
    )
    start_tensorflow(pipeline)

    from kft.display import Display
    from kft.workers import read_cluster
    from kft.workflow import make_plan

    # Plans for the cluster without waiting for its workers.
    plan = make_plan(pipeline, Display(), is_thorough=True, cluster=read_cluster(), joins=False)
    show_plan(plan, describe_choices(pipeline, load_measured(pipeline)), form)
