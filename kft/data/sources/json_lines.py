"""JSON Lines as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kft.data.sources.table_lines import LinesTable, Row
from kft.errors import DataError
from kft.printing import listed


class JsonLinesTable(LinesTable):
    """JSON Lines file: an object on each line, whose keys are the columns.

    The columns are the keys of the first line; a key that later lines lack is blank there.

    Args:
        path: Path of the file.
        encoding: Encoding that its byte order mark says; UTF-8 without a mark.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        super().__init__(path, encoding)
        first = self.find_first_line()
        record = _parse_object(first)
        if record is None:
            raise DataError(
                f"{path}: the first line is not a JSON object. Expected lines such as "
                '{"text": "a fine film", "label": "positive"}.'
            )
        self.header = list(record)
        self.plain_columns = [
            name for name, value in record.items() if not isinstance(value, (dict, list))
        ]

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Read the rows that are not blank."""
        with self.open() as file:
            for number, line in enumerate(self.lines(file), 1):
                if not line.strip():
                    continue
                record = _parse_object(line)
                if record is None:
                    yield Row(number, (), "not a JSON object")
                    continue
                values = [record.get(name) for name in columns]
                nested = [
                    name
                    for name, value in zip(columns, values, strict=True)
                    if isinstance(value, (dict, list))
                ]
                if nested:
                    yield Row(number, (), f"{listed(nested)} is neither text nor a number")
                else:
                    yield Row(number, [_to_text(value).strip() for value in values])


def _parse_object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _to_text(value: Any) -> str:
    """Write a JSON value as a cell: numbers in their shortest form, true and false."""
    if value is None or isinstance(value, str):
        return value or ""
    is_whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if is_whole else value)
