"""Files of an evaluation, written from its tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kft.runs.atomic import write_arrays, write_text
from kft.tasks.figures import Table


def write_tables(folder: Path, tables: Mapping[str, Table]) -> None:
    """Write each table to the file of its name.

    Args:
        folder: Folder for the files.
        tables: Tables from `Figures.tabulate`, by file name.
    """
    for name, table in tables.items():
        if isinstance(table, Mapping):
            write_arrays(folder / name, table, is_compressed=True)
        else:
            _write_rows(folder / name, table)


def _write_rows(path: Path, rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        # Python's writer does not quote a carriage return, but its reader ends the row there.
        (quoted if any("\r" in cell for cell in row) else writer).writerow(row)
    write_text(path, text.getvalue())
