"""Parsers of table cells into numbers, one for each kind of column."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from typing import Protocol

from kft.data.found import MISSING_WORDS, SPLIT_WORDS, find_split
from kft.examples import SPLIT_NAMES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Word for 1 or 0, in lower case -> its pair of words, and the number.
_FLAG_WORDS = {
    word: (f"{yes}/{no}", number)
    for yes, no in (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))
    for word, number in ((yes, 1.0), (no, 0.0))
}


class BadCellError(Exception):
    """Reason why a cell makes its row unusable."""


class Field(Protocol):
    """Column of one kind."""

    @property
    def column(self) -> str:
        """Name of the column."""

    def parse(self, text: str) -> float:
        """Parse a cell into the number that represents it.

        Raises:
            BadCellError: The cell is blank, or not of the kind of the column.
        """


def _refuse_missing(text: str, column: str) -> None:
    if not text:
        raise BadCellError(f"column {column!r} is blank")
    if text in MISSING_WORDS:
        raise BadCellError(
            f"{text!r} in column {column!r} means a missing value; rename a class or group of "
            "that name"
        )


class NameField:
    """Column of names of classes or groups, numbered in order of first appearance.

    Args:
        column: Name of the column.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self._codes: dict[str, float] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Distinct names in order of their numbers, including those of unusable rows."""
        return tuple(self._codes)

    def parse(self, text: str) -> float:
        """Return the number of the name."""
        code = self._codes.get(text)
        if code is None:
            _refuse_missing(text, self.column)
            code = self._codes[text] = float(len(self._codes))
        return code


class NumberField:
    """Column of finite numbers and, if they may be labels, of words for 1 and 0.

    Args:
        column: Name of the column.
        with_words: Whether `true`, `yes` and the like mean 1, and `false` and `no` mean 0.

    Attributes:
        word_counts: Pair of words -> number of cells that hold one of them.
        number_count: Number of cells that hold a number.
    """

    def __init__(self, column: str, *, with_words: bool = True) -> None:
        self.column = column
        self.word_counts: Counter[str] = Counter()
        self.number_count = 0
        self._with_words = with_words

    def parse(self, text: str) -> float:
        """Parse a number, or a word for 1 or 0."""
        value = parse_number(text)
        if value is not None:
            self.number_count += 1
            return value
        _refuse_missing(text, self.column)
        word = _FLAG_WORDS.get(text.lower()) if self._with_words else None
        if word is None:
            raise BadCellError(f"{text!r} in column {self.column!r} is not a finite number")
        pair, value = word
        self.word_counts[pair] += 1
        return value


def parse_number(text: str) -> float | None:
    """Parse a finite number as Python or a spreadsheet writes it; None if it is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    # float() also accepts `1_000`, which is a name.
    return value if math.isfinite(value) and "_" not in text else None


class SplitField:
    """Column of splits by any of their usual words; numbered as in SPLIT_NAMES.

    Args:
        column: Name of the column.
    """

    def __init__(self, column: str) -> None:
        self.column = column

    def parse(self, text: str) -> float:
        """Return the number of the split."""
        split = find_split(text)
        if split is None:
            words = ", ".join(word for words in SPLIT_WORDS.values() for word in words)
            raise BadCellError(
                f"{text!r} in column {self.column!r} is not a split. Allowed: {words}"
            )
        return float(SPLIT_NAMES.index(split))


class TimeField:
    """Column of times: numbers, or ISO dates and times as seconds since 1970.

    Args:
        column: Name of the column.

    Attributes:
        kinds: Kind of time -> its first cell. Times of different kinds cannot be ordered.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.kinds: dict[str, str] = {}

    def parse(self, text: str) -> float:
        """Parse a number, or a time as seconds since 1970."""
        _refuse_missing(text, self.column)
        kind, value = "a number", parse_number(text)
        if value is None:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise BadCellError(
                    f"{text!r} in column {self.column!r} is not a time. Allowed: numbers, or dates "
                    "such as 2024-05-01 or 2024-05-01T09:30"
                ) from None
            kind = "a time with a zone" if moment.tzinfo else "a date or time without a zone"
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            value = (moment - _EPOCH).total_seconds()
        self.kinds.setdefault(kind, text)
        return value
