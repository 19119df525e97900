"""Tables, aligned on a terminal and with one record per line in a pipe; no cell is ever cut."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table

from kft.printing import printable

_GAP = 3
_INDENT = 4
# Wider than any terminal, to measure the full width of a table.
_UNLIMITED = 1_000_000


def make_console() -> Console:
    """Make a console on standard output; in a pipe it neither folds lines nor uses colour."""
    # Markup and emoji off: `pip install 'kft[hub]'` and a file named ':cat:.jpg' are text.
    console = Console(highlight=False, markup=False, emoji=False)
    # With FORCE_COLOR, rich treats a pipe as a terminal; a file would get tables of 80 columns.
    if sys.stdout.isatty():
        return console
    return Console(highlight=False, markup=False, emoji=False, force_terminal=False, soft_wrap=True)


def show_table(
    console: Console,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
) -> None:
    """Print records, if any: a table on a terminal, tab-separated lines with headings in a pipe.

    A table that is too wide is folded. If it is too wide because of long words in its first
    column, such as paths, the first cell of each record gets a separate line.

    Args:
        console: Console from `make_console`.
        headings: Headings of the columns; a '>' at the end aligns the column right.
        rows: Cells of each record; unprintable characters are escaped.
        title: Line above the table.
    """
    if title is not None:
        console.print(title)
    if not console.is_terminal:
        _write_lines(console, headings, rows)
        return
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return
    table = _make_table(headings, cells)
    if _has_long_names(console, table, cells):
        _print_stacked(console, headings, cells)
    else:
        console.print(table)


def _write_lines(console: Console, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write one line per record, each as soon as it is available."""
    names = [heading.rstrip(">") for heading in headings]
    for index, row in enumerate(rows):
        for line in (row,) if index else (names, row):
            # Written directly, because rich would turn tabs into spaces.
            console.file.write("\t".join(map(printable, line)) + "\n")
        console.file.flush()


def _make_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Make a table without frames."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        # Folded if necessary, because by default rich cuts cells and adds an ellipsis.
        table.add_column(
            heading.rstrip(">"),
            justify="right" if heading.endswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    return table


def _has_long_names(console: Console, table: Table, rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table is too wide because of long words in its first column."""
    unlimited = console.options.update(max_width=_UNLIMITED)
    if Measurement.get(console, unlimited, table).minimum <= console.width:
        return False
    name, *others = (
        max(cell_len(word) for cell in column for word in (*cell.split(), ""))
        for column in zip(*rows, strict=True)
    )
    return bool(others) and name >= max(others)


def _print_stacked(
    console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print the first cell of each record on a separate line, and the others below it."""
    lines = [[heading.rstrip(">") for heading in headings], *rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]

    def show(row: Sequence[str]) -> None:
        console.print(row[0], soft_wrap=True)
        cells = [
            f"{' ' * (width - cell_len(cell))}{cell}"
            if heading.endswith(">")
            else f"{cell}{' ' * (width - cell_len(cell))}"
            for cell, width, heading in zip(row[1:], widths[1:], headings[1:], strict=True)
        ]
        others = (" " * _GAP).join(cells).rstrip()
        if others:
            console.print(Padding(others, (0, 0, 0, _INDENT), expand=False))

    console.print()
    show(lines[0])
    console.print()
    for row in rows:
        show(row)
    console.print()


def show_pairs(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Print names and their values, one pair per line."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(f"  {name.ljust(width)}  {printable(value)}", soft_wrap=True)


def show_paragraph(console: Console, text: str, *, indent: int = 0) -> None:
    """Print a text, folded between words on a terminal and as one line in a pipe."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(" " * indent + text, soft_wrap=True)


def show_remark(console: Console, text: str) -> None:
    """Print a remark about a listing; in a pipe it goes to standard error."""
    if console.is_terminal:
        console.print(text, soft_wrap=True)
    else:
        click.echo(text, err=True)
