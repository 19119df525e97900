"""Output of `kft compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kft.cli.records import print_csv, print_document
from kft.cli.tables import make_console, show_pairs, show_paragraph, show_table

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.comparison import Comparison


def show_comparison(comparison: Comparison, form: Form, page: Path | None = None) -> None:
    """Print the figures of all runs, their differences from the first, and settings that differ.

    Args:
        comparison: What to print.
        form: 'json' prints all as one document, 'csv' the figures.
        page: Path of the HTML page, if one was written.
    """
    if form == "json":
        print_document(comparison.describe())
        return
    headings, *rows = comparison.list_rows()
    if form == "csv":
        print_csv(dict(zip(headings, row, strict=True)) for row in rows)
        return
    console = make_console()
    # Figures side by side, one run per column: they are more than runs.
    columns = zip(headings, *rows, strict=True)
    _, *names = next(columns)
    show_table(console, ("figure", *(f"{name}>" for name in names)), columns)
    show_table(
        console,
        ("against the first", "gain>", "95 % interval", "by chance>", "verdict"),
        (
            (
                each.name,
                f"{each.difference.gain:+.3f} {each.figure}",
                f"{each.difference.low:+.3f} to {each.difference.high:+.3f}",
                each.chance_text,
                each.verdict,
            )
            for each in comparison.differences
        ),
    )
    show_paragraph(console, comparison.note)
    if comparison.settings:
        show_table(
            console,
            ("setting", *names),
            ((each.path, *each.values) for each in comparison.settings),
            title="\nSettings that differ",
        )
    if page is not None:
        show_pairs(console, [("Page", str(page))])
