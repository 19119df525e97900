"""Cells of a table -> numbers, each by the kind of its column."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from typing import Protocol

from kft.data.found import MISSING_WORDS, SPLIT_WORDS, find_split
from kft.examples import SPLIT_NAMES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Words for 1 and 0, in any case of letters -> the pair that they are of, and the number.
_FLAG_WORDS = {
    word: (f"{yes}/{no}", number)
    for yes, no in (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))
    for word, number in ((yes, 1.0), (no, 0.0))
}


class BadCellError(Exception):
    """Why a cell makes its row unusable."""


class Field(Protocol):
    """A column of one kind."""

    @property
    def column(self) -> str:
        """Its name."""

    def parse(self, text: str) -> float:
        """The number that stands for a cell.

        Raises:
            BadCellError: It holds nothing, or what its kind does not allow.
        """


def _refuse_missing(text: str, column: str) -> None:
    if not text:
        raise BadCellError(f"column {column!r} is blank")
    if text in MISSING_WORDS:
        raise BadCellError(
            f"{text!r} in column {column!r} stands for no value; a class or group of that name "
            "needs another"
        )


class NameField:
    """Names, of classes or of groups; each stands for the place of its first appearance.

    Args:
        column: Name of the column.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self._codes: dict[str, float] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The different names, also of rows that proved bad otherwise, by their number."""
        return tuple(self._codes)

    def parse(self, text: str) -> float:
        """The number of the name."""
        code = self._codes.get(text)
        if code is None:
            _refuse_missing(text, self.column)
            code = self._codes[text] = float(len(self._codes))
        return code


class NumberField:
    """Finite numbers, and where they may be labels, words for 1 and 0.

    Args:
        column: Name of the column.
        with_words: Whether `true`, `yes` and their kin stand for 1, `false` and `no` for 0.

    Attributes:
        word_counts: Pair of words -> how many cells hold one of them.
        number_count: How many cells hold a number.
    """

    def __init__(self, column: str, *, with_words: bool = True) -> None:
        self.column = column
        self.word_counts: Counter[str] = Counter()
        self.number_count = 0
        self._with_words = with_words

    def parse(self, text: str) -> float:
        """The number."""
        value = parse_number(text)
        if value is not None:
            self.number_count += 1
            return value
        _refuse_missing(text, self.column)
        word = _FLAG_WORDS.get(text.lower()) if self._with_words else None
        if word is None:
            raise BadCellError(f"{text!r} in column {self.column!r} is no finite number")
        pair, value = word
        self.word_counts[pair] += 1
        return value


def parse_number(text: str) -> float | None:
    """A finite number, written as Python or a spreadsheet does; else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    # float() reads `1_000` too, which is a name.
    return value if math.isfinite(value) and "_" not in text else None


class SplitField:
    """Train, validation and holdout by any of their words; the number is that in SPLIT_NAMES.

    Args:
        column: Name of the column.
    """

    def __init__(self, column: str) -> None:
        self.column = column

    def parse(self, text: str) -> float:
        """The number of the split."""
        split = find_split(text)
        if split is None:
            words = ", ".join(word for words in SPLIT_WORDS.values() for word in words)
            raise BadCellError(f"{text!r} in column {self.column!r} is no split. Allowed: {words}")
        return float(SPLIT_NAMES.index(split))


class TimeField:
    """Numbers that rise, or dates and times in ISO form, as seconds since 1970.

    Args:
        column: Name of the column.

    Attributes:
        kinds: Kind of time -> the first cell that was of it. More than one kind
            has no order.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self.kinds: dict[str, str] = {}

    def parse(self, text: str) -> float:
        """The number, or the seconds."""
        _refuse_missing(text, self.column)
        kind, value = "a number", parse_number(text)
        if value is None:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise BadCellError(
                    f"{text!r} in column {self.column!r} is no time. Allowed: numbers, or dates "
                    "such as 2024-05-01 or 2024-05-01T09:30"
                ) from None
            kind = "a time with its zone" if moment.tzinfo else "a date or time without a zone"
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            value = (moment - _EPOCH).total_seconds()
        self.kinds.setdefault(kind, text)
        return value
