"""Output of `--json` and `--csv`, with one record per line, for all commands."""

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
    """Print each record as soon as it is available.

    Args:
        records: Records, all with the same keys.
        form: 'json' or 'csv'.
    """
    if form == "json":
        for record in records:
            print_document(record)
    else:
        print_csv(records)


def print_document(values: Record) -> None:
    """Print JSON values as one line of JSON Lines.

    Letters of all languages are printed as they are. Unprintable characters are escaped, so that
    file names are exact but harmless to a terminal. Numbers that are not finite become null.
    """
    click.echo(_to_json(values))


def _to_json(value: Any) -> str:
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _finite(value: Any) -> Any:
    """Replace numbers that JSON cannot represent by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def print_csv(records: Iterable[Record]) -> None:
    """Print a line with the keys of the first record, then one line per record."""
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
