"""Readers of a table file: its header, and its rows of text one at a time."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from kft.errors import DataError, first_line
from kft.printing import listed

# UTF-32 comes first, because its mark begins with the mark of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# A file without line ends is refused instead of being read into memory whole.
_LONGEST_LINE = 4_000_000
_PARQUET_MAGIC = b"PAR1"
# Number of Parquet rows to convert to text at a time.
_BATCH_ROWS = 16_384


class Row(NamedTuple):
    """Row of a table.

    Attributes:
        number: Number of its first line in a text file, or of the row in Parquet, from 1.
        cells: Stripped text of the requested columns; empty if the number of values
            differs from that of the header.
        problem: Reason why there are no cells.
    """

    number: int
    cells: Sequence[str]
    problem: str | None = None


class Table(Protocol):
    """Table that is open for reading.

    Attributes:
        path: Path of the file.
        header: Names of the columns; a column with a blank name cannot be requested.
        unit: Unit that row numbers count: 'line' or 'row'.
    """

    path: Path
    header: list[str]
    unit: str

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Read the rows that are not blank, few at a time.

        Raises:
            DataError: The rest of the file cannot be parsed.
        """


def open_table(path: Path) -> Table:
    """Open a CSV, TSV or Parquet file and read its header.

    Raises:
        DataError: The file is missing or not a table, or two columns have the
            same name.
    """
    if not path.is_file():
        raise DataError(f"data.path: there is no table {path}.")
    with _system_errors(path), path.open("rb") as file:
        start = file.read(4)
    is_parquet = start == _PARQUET_MAGIC or path.suffix.lower() == ".parquet"
    table: Table = ParquetTable(path) if is_parquet else TextTable(path, _find_encoding(start))
    named = [name for name in table.header if name]
    repeated = sorted({name for name in named if named.count(name) > 1})
    if repeated:
        raise DataError(
            f"{path}: column {listed(repeated)} is repeated in the header. Rename one of each."
        )
    return table


@contextmanager
def _system_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _find_encoding(start: bytes) -> str:
    return next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8-sig")


class TextTable:
    """CSV or TSV file.

    Args:
        path: Path of the file.
        encoding: Encoding that its byte order mark says; UTF-8 without a mark.
    """

    unit = "line"

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self._encoding = encoding
        with self._open() as file:
            first = next((line for line in self._lines(file) if line.strip()), "")
        self._delimiter = _find_delimiter(path, first)
        _, header = next(self._records(), (0, []))
        if not header:
            raise DataError(f"{path} is empty. Expected a header and a line per example.")
        self.header = [cell.strip() for cell in header]

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        with (
            _system_errors(self.path),
            # The csv module needs line ends unchanged: they may occur within quotes.
            self.path.open(encoding=self._encoding, newline="") as file,
        ):
            yield file

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
        with self._open() as file:
            # Strict: otherwise an unclosed quote would swallow the rest of the file.
            reader = csv.reader(self._lines(file), delimiter=self._delimiter, strict=True)
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

    def _lines(self, file: TextIO) -> Iterator[str]:
        number = 0
        try:
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise DataError(
                        f"{self.path}, line {number}: longer than {_LONGEST_LINE:,} characters; "
                        "this is not a table."
                    )
                if "\0" in line:
                    raise DataError(
                        f"{self.path}, line {number}: holds a zero byte, so it is not text, or it "
                        "is UTF-16 without a byte order mark. Save it as UTF-8."
                    )
                yield line
        except UnicodeError as error:
            name = "UTF-8" if self._encoding == "utf-8-sig" else self._encoding.upper()
            reason = getattr(error, "reason", error)
            raise DataError(
                f"{self.path}, after line {number}: not {name} text ({reason}). Save it as UTF-8."
            ) from None


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
