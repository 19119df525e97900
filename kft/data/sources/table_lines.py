"""Lines of a table that is a text file, and rows as any table gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from kft.errors import DataError

# A file without line ends is refused instead of being read into memory whole.
_LONGEST_LINE = 4_000_000


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


@contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Turn errors of the system about a file into errors that name it.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


class LinesTable:
    """Table of lines of text.

    Args:
        path: Path of the file.
        encoding: Encoding that its byte order mark says; UTF-8 without a mark.
    """

    unit = "line"

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self._encoding = encoding

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """Open the file as text.

        Raises:
            DataError: The system cannot read it.
        """
        with (
            system_errors(self.path),
            # The csv module needs line ends unchanged: they may occur within quotes.
            self.path.open(encoding=self._encoding, newline="") as file,
        ):
            yield file

    def find_first_line(self) -> str:
        """Find the first line that is not blank; empty if there is none."""
        with self.open() as file:
            return next((line for line in self.lines(file) if line.strip()), "")

    def lines(self, file: TextIO) -> Iterator[str]:
        """Read the lines, with their ends.

        Raises:
            DataError: A line is too long, holds a zero byte, or is not in the encoding.
        """
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
