"""`kft doctor`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("doctor", short_help="What this machine has, what is missing, what mends it.")
@form_options
@click.pass_context
def command(ctx: click.Context, form: Form) -> None:
    """What this machine has, what is missing, and the command that mends it.

    Ends with exit code 1 if something is missing that `kft train` needs.

    \b
    Example:
      kft doctor
    """
    from kft.cli.output import show_findings
    from kft.startup import start_tensorflow

    # Missing, it is a finding.
    with contextlib.suppress(ImportError):
        start_tensorflow()

    from kft.doctor import examine

    findings = examine()
    show_findings(findings, form)
    ctx.exit(0 if all(finding.is_fine or finding.is_optional for finding in findings) else 1)
