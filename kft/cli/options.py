"""Arguments and options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

source_argument = click.argument("source", metavar="DATA|PIPELINE.yaml")
optional_source_argument = click.argument("source", metavar="DATA|PIPELINE.yaml", required=False)
overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
trust_option = click.option(
    "--trust",
    is_flag=True,
    help="Accept a legacy .h5 weights file whose digest kft does not know.",
)
on_bad_option = click.option(
    "--on-bad",
    type=click.Choice(["quarantine", "stop"]),
    help="Leave out files that cannot be used, by name and reason, or do not begin; by default "
    "they are left out.",
)
run_id_option = click.option(
    "--run-id", metavar="NAME", help="Name of the run's directory; by default made of the time."
)


def pipeline_options(command: Command) -> Command:
    """SOURCE, KEY=VALUE… and --trust."""
    for decorate in (trust_option, overrides_argument, source_argument):
        command = decorate(command)
    return command


def with_options(
    overrides: tuple[str, ...], *, trust: bool, on_bad: str | None = None
) -> list[str]:
    """The overrides, with --trust and --on-bad among them."""
    of_trust = ["backbone.trust=true"] if trust else []
    of_bad = [f"data.on_bad={on_bad}"] if on_bad is not None else []
    return [*overrides, *of_trust, *of_bad]
