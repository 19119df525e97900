"""What `--json` and `--csv` print: one record a line, of every verb alike."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import click

from kft.printing import printable

Form = Literal["text", "json", "csv"]
Record = Mapping[str, Any]


def print_records(records: Iterable[Record], form: Form) -> None:
    """Print each record as soon as it is known.

    Args:
        records: All with the same keys.
        form: 'json' or 'csv'.
    """
    if form == "json":
        for record in records:
            print_document(record)
    else:
        print_csv(records)


def print_document(values: Record) -> None:
    """Print JSON values as one line of JSON Lines.

    Letters of any language stand as they are; what is not printable is escaped, so that names of
    files read back to the byte and reach no terminal raw. What is not finite is null.
    """
    click.echo(_to_json(values))


def _to_json(value: Any) -> str:
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _finite(value: Any) -> Any:
    """The value with None for numbers that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def print_csv(records: Iterable[Record]) -> None:
    """Print a line of the keys of the first record, then a line a record."""
    for index, record in enumerate(records):
        if index == 0:
            click.echo(_csv_line(record))
        click.echo(_csv_line(record.values()))


def _csv_line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_csv_cell(cell) for cell in cells])
    return line.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list | tuple):
        return _to_json(value)
    return printable(value) if isinstance(value, str) else value
