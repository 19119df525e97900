"""Tables of the verbs: aligned on a terminal, one record a line elsewhere; no cell is ever cut."""

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
# More than any terminal: for what a table would take if it had the room.
_UNLIMITED = 1_000_000


def make_console() -> Console:
    """Standard output; in a pipe it has no width, so that no line is folded, and no colour."""
    # Markup and emoji off: `pip install 'kft[hub]'` and a file named ':cat:.jpg' are text.
    console = Console(highlight=False, markup=False, emoji=False)
    # Rich lets FORCE_COLOR make a terminal of a pipe; a file would then get tables of 80 columns.
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

    A table that is too wide folds. Where it is too wide for the words of its first column, as
    those of paths are, each record has its first cell on a line of its own.

    Args:
        console: Of `make_console`.
        headings: Of the columns; one that ends in '>' aligns its column right.
        rows: Cells; what is not printable in them is written out.
        title: A line above.
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
    """One line a record, each as soon as it is known."""
    names = [heading.rstrip(">") for heading in headings]
    for index, row in enumerate(rows):
        for line in (row,) if index else (names, row):
            # Rich would turn tabs into blanks.
            console.file.write("\t".join(map(printable, line)) + "\n")
        console.file.flush()


def _make_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table without frames."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        # Folded where it must be: the default puts … in place of what finds no room.
        table.add_column(
            heading.rstrip(">"),
            justify="right" if heading.endswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    return table


def _has_long_names(console: Console, table: Table, rows: Sequence[Sequence[str]]) -> bool:
    """Whether it is the first column for which a table does not fit without folding words."""
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
    """The first cell of each record on a line that the terminal folds, the others below it."""
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
    """Names and their values, a line each."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(f"  {name.ljust(width)}  {printable(value)}", soft_wrap=True)


def show_paragraph(console: Console, text: str, *, indent: int = 0) -> None:
    """A sentence, folded between words on a terminal and one line in a pipe."""
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(" " * indent + text, soft_wrap=True)


def show_remark(console: Console, text: str) -> None:
    """A sentence beside a listing: in a pipe, where records alone go, to standard error."""
    if console.is_terminal:
        console.print(text, soft_wrap=True)
    else:
        click.echo(text, err=True)
