"""`kft audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kft.cli.options import form_options, pipeline_options, with_options

if TYPE_CHECKING:
    from kft.cli.records import Form


@click.command("audit", short_help="Find problems in the data before training.")
@pipeline_options
@form_options
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a self-contained HTML page that shows the pictures.",
)
@click.option(
    "--no-labels",
    is_flag=True,
    help="Skip checks that need the backbone: doubtful labels, and outliers by features.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if any finding is more than a note.")
def command(
    source: str,
    overrides: tuple[str, ...],
    trust: bool,
    *,
    form: Form,
    page: Path | None,
    no_labels: bool,
    strict: bool,
) -> None:
    """Find problems in the data before training.

    Finds files that cannot be used; duplicates and near duplicates, across splits
    and with different labels; properties of files that reveal the class; tiny,
    blank, dark and blurred pictures; outliers; classes that are too small; labels
    that a probe on the backbone's features contradicts. Changes nothing.
    docs/audit.md explains each finding. --json prints everything, --csv the files
    of all findings.

    \b
    Examples:
      kft audit photos/
      kft audit photos/ --html audit.html
      kft audit labels.csv --no-labels --json --strict
    """
    from kft.config import load_pipeline
    from kft.startup import start_tensorflow

    pipeline = load_pipeline(source, with_options(overrides, trust=trust))
    if page is not None:
        _check_page(page)
    start_tensorflow(pipeline)

    from kft.auditing import audit_data, render_page
    from kft.cli.audit_output import show_audit
    from kft.display import Display
    from kft.runs.atomic import write_bytes

    display = Display()
    audit = audit_data(pipeline, display, with_labels=not no_labels)
    show_audit(audit, form)
    if page is not None:
        with display.track("Page") as advance:
            content = render_page(audit, pipeline.data, advance)
        write_bytes(page, content)
        display.stage(f"Page: {page}")
    if strict and not audit.is_clean:
        raise click.exceptions.Exit(1)


def _check_page(path: Path) -> None:
    if path.suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"--html: found {path}. The file must end in .html or .htm.")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise click.UsageError(f"--html: {path} is not a file in an existing folder.")
