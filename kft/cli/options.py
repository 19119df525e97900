"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from kft.cli.records import Form

Command = TypeVar("Command", bound=Callable[..., Any])

source_argument = click.argument("source", metavar="DATA|PIPELINE.yaml")
optional_source_argument = click.argument("source", metavar="DATA|PIPELINE.yaml", required=False)
overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
trust_option = click.option(
    "--trust",
    is_flag=True,
    help="Accept a legacy .h5 weights file whose digest kft does not know.",
)
on_invalid_file_option = click.option(
    "--on-invalid-file",
    type=click.Choice(["quarantine", "stop"]),
    help="Files that cannot be used: leave them out and name each with the reason (the default), "
    "or refuse to begin.",
)
run_id_option = click.option(
    "--run-id", metavar="NAME", help="Name of the run's directory; by default made from the time."
)


def form_options(command: Command) -> Command:
    """Add --json and --csv to a command, which gets them as `form`."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON Lines: one record per line.")
    @click.option(
        "--csv", "as_csv", is_flag=True, help="Print CSV: a header, then one record per line."
    )
    @wraps(command)
    def with_form(*arguments: Any, as_json: bool, as_csv: bool, **options: Any) -> Any:
        if as_json and as_csv:
            raise click.UsageError("--json and --csv: give only one of them.")
        form: Form = "json" if as_json else "csv" if as_csv else "text"
        return command(*arguments, form=form, **options)

    return with_form  # type: ignore[return-value]


def pipeline_options(command: Command) -> Command:
    """Add SOURCE, KEY=VALUE… and --trust to a command."""
    for decorate in (trust_option, overrides_argument, source_argument):
        command = decorate(command)
    return command


def with_options(
    overrides: tuple[str, ...], *, trust: bool, on_invalid_file: str | None = None
) -> list[str]:
    """Append the overrides that --trust and --on-invalid-file stand for."""
    of_trust = ["backbone.trust=true"] if trust else []
    of_bad = [f"data.on_invalid_file={on_invalid_file}"] if on_invalid_file is not None else []
    return [*overrides, *of_trust, *of_bad]
