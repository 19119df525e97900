"""Readers of a table file: its header, and its rows of text one at a time."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from kft.data.sources.json_lines import JsonLinesTable
from kft.data.sources.table_lines import LinesTable, Row, system_errors
from kft.errors import DataError, first_line
from kft.printing import listed

# UTF-32 comes first, because its mark begins with the mark of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PARQUET_MAGIC = b"PAR1"
# Number of Parquet rows to convert to text at a time.
_BATCH_ROWS = 16_384


class Table(Protocol):
    """Table that is open for reading.

    Attributes:
        path: Path of the file.
        header: Names of the columns; a column with a blank name cannot be requested.
        plain_columns: Names of the columns that hold text or numbers, as far as the file says.
        unit: Unit that row numbers count: 'line' or 'row'.
    """

    path: Path
    header: list[str]
    unit: str

    @property
    def plain_columns(self) -> list[str]:
        """See the attributes."""

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Read the rows that are not blank, few at a time.

        Raises:
            DataError: The rest of the file cannot be parsed.
        """


def open_table(path: Path) -> Table:
    """Open a CSV, TSV, Parquet or JSON Lines file and read its header.

    Raises:
        DataError: The file is missing or not a table, or two columns have the
            same name.
    """
    if not path.is_file():
        raise DataError(f"data.path: there is no table {path}.")
    with system_errors(path), path.open("rb") as file:
        start = file.read(4)
    ending = path.suffix.lower()
    table: Table
    if start == _PARQUET_MAGIC or ending == ".parquet":
        table = ParquetTable(path)
    elif ending in (".jsonl", ".ndjson"):
        table = JsonLinesTable(path, _find_encoding(start))
    else:
        table = TextTable(path, _find_encoding(start))
    named = [name for name in table.header if name]
    repeated = sorted({name for name in named if named.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path}: column {listed(repeated)} is repeated in the header. Rename one of each."
        )
    return table


def _find_encoding(start: bytes) -> str:
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8-sig")


class TextTable(LinesTable):
    """CSV or TSV file.

    Args:
        path: Path of the file.
        encoding: Encoding that its byte order mark says; UTF-8 without a mark.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        super().__init__(path, encoding)
        first = self.find_first_line()
        self._delimiter = _find_delimiter(path, first)
        _, header = next(self._records(), (0, []))
        if not header:
            raise DataError(f"{path} is empty. Expected a header and a line per example.")
        self.header = [cell.strip() for cell in header]
        self.plain_columns = [name for name in self.header if name]

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Read the rows that are not blank."""
        places = [self.header.index(name) for name in columns]
        width = len(self.header)
        records = self._records()
        next(records)
        for number, cells in records:
            if len(cells) == width:
                yield Row(number, [cells[place].strip() for place in places])
            else:
                problem = (
                    f"{len(cells)} values for {width} columns; quote values that hold "
                    f"{self._delimiter!r}"
                )
                yield Row(number, (), problem)

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Read the first line number and the cells of each row that is not blank."""
        with self.open() as file:
            # Strict: otherwise an unclosed quote would swallow the rest of the file.
            reader = csv.reader(self.lines(file), delimiter=self._delimiter, strict=True)
            while True:
                number = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    raise DataError(
                        f"{self.path}, line {number}: {error}. Quote values that hold the "
                        "delimiter, a quote or a line end, double the quotes inside them, and "
                        "check for an unclosed quote."
                    ) from None
                if any(cell and not cell.isspace() for cell in cells):
                    yield number, cells


def _find_delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    unquoted = re.sub(r'"[^"]*"?', "", header)
    return max(",;\t", key=unquoted.count)  # the comma if none occurs


class ParquetTable:
    """Parquet file; only the requested columns are read.

    Args:
        path: Path of the file.
    """

    unit = "row"

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            self.header: list[str] = list(file.schema_arrow.names)
            self.plain_columns = [
                field.name for field in file.schema_arrow if _is_plain(field.type)
            ]

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import pyarrow
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(self.path) as file:
                yield file
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(
                f"{self.path}: cannot be read as Parquet. {first_line(error)}"
            ) from None

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Read each row as text; missing values are blank."""
        number = 0
        with self._open() as file:
            batches = file.iter_batches(_BATCH_ROWS, columns=list(dict.fromkeys(columns)))
            for batch in batches:
                texts = [self._to_texts(batch.column(name), name) for name in columns]
                for cells in zip(*texts, strict=True):
                    number += 1
                    yield Row(number, cells)

    def _to_texts(self, values: Any, name: str) -> list[str]:
        """Convert to text: numbers in shortest form (1.0 as 1), ISO times, true and false."""
        import pyarrow

        try:
            texts = values.cast(pyarrow.string()).to_pylist()
        except (pyarrow.ArrowNotImplementedError, pyarrow.ArrowInvalid):
            raise DataError(
                f"{self.path}: column {name!r} holds {values.type}. Expected text, numbers or "
                "times: a table names each example by the path of its file."
            ) from None
        return [(text or "").strip() for text in texts]


def _is_plain(kind: Any) -> bool:
    """Whether the values of an Arrow type can be written as text."""
    from pyarrow import types

    tests = (
        *(types.is_integer, types.is_floating, types.is_boolean, types.is_decimal),
        *(types.is_string, types.is_large_string, types.is_dictionary, types.is_temporal),
    )
    return any(test(kind) for test in tests)
