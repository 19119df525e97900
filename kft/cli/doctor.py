"""`kft doctor`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("doctor", short_help="Check this machine and its packages.")
@form_options
@click.pass_context
def command(ctx: click.Context, form: Form) -> None:
    """Check this machine and its packages, and show the remedy for anything missing.

    Exits with 1 if something that `kft train` needs is missing.

    \b
    Example:
      kft doctor
    """
    from kft.cli.output import show_findings
    from kft.startup import start_tensorflow

    # A missing TensorFlow is one of the findings.
    with contextlib.suppress(ImportError):
        start_tensorflow()

    from kft.doctor import examine

    findings = examine()
    show_findings(findings, form)
    ctx.exit(0 if all(finding.is_fine or finding.is_optional for finding in findings) else 1)
