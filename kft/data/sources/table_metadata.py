"""Other columns of a table, by which answers are sliced: words, or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kft.data.found import MISSING_WORDS
from kft.data.sources.table_fields import parse_number
from kft.data.sources.table_reading import Table

# Words of a column beyond which it holds names or texts rather than a property of examples.
_MOST_WORDS = 50
_LONGEST = 100
# Different numbers up to which a column is a code, such as of a site, rather than an amount.
_MOST_CODES = 10
_MOST_COLUMNS = 30


def read_metadata(
    table: Table, used: Sequence[str], numbers: Sequence[int]
) -> Mapping[str, np.ndarray]:
    """Read the columns that have no other role, for some of the rows.

    Args:
        table: The table, which is read once more.
        used: Names of the columns with a role.
        numbers: Number of each row to keep, ascending.

    Returns:
        Column -> values (rows,): texts as objects, '' where it is blank; or float64 with NaN
        there. Columns of many words, such as comments, are left out.
    """
    names = [name for name in table.plain_columns if name not in used][:_MOST_COLUMNS]
    if not names:
        return {}
    columns = [_Column(len(numbers)) for _ in names]
    place_of = {number: place for place, number in enumerate(numbers)}
    for row in table.read(names):
        place = place_of.get(row.number)
        if place is None or row.problem is not None:
            continue
        for column, cell in zip(columns, row.cells, strict=True):
            column.put(place, cell)
    found = ((name, column.finish()) for name, column in zip(names, columns, strict=True))
    return {name: values for name, values in found if values is not None}


class _Column:
    """Values of a column, as long as it may be a property."""

    def __init__(self, count: int) -> None:
        self._numbers = np.full(count, np.nan)
        self._words: dict[str, int] = {}
        self._codes = np.full(count, -1, np.int32)
        self._is_text = False

    def put(self, place: int, cell: str) -> None:
        """Take over the value of a row."""
        if self._is_text or not cell or cell in MISSING_WORDS:
            return
        number = parse_number(cell)
        if number is not None:
            self._numbers[place] = number
        else:
            self._codes[place] = self._words.setdefault(cell, len(self._words))
            self._is_text = len(self._words) > _MOST_WORDS or len(cell) > _LONGEST

    def finish(self) -> np.ndarray | None:
        """Return the values; None for a text, or if all are blank or equal."""
        known = np.unique(self._numbers[~np.isnan(self._numbers)])
        if self._is_text or len(known) + len(self._words) < 2:
            return None
        if not self._words and len(known) > _MOST_CODES:
            return self._numbers
        words: np.ndarray = np.array([*self._words, ""], object)[self._codes]
        is_number = ~np.isnan(self._numbers)
        words[is_number] = [f"{value:g}" for value in self._numbers[is_number]]
        return words if len(set(words.tolist()) - {""}) <= _MOST_WORDS else None
