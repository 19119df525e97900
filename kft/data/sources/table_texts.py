"""Texts that a table holds in its own columns."""

from __future__ import annotations

from collections.abc import Sequence

from kft.data.sources.table_paths import Place
from kft.examples import Values


class TableTexts:
    """Texts of the rows, encoded as a file would hold them.

    Args:
        unit: What numbers count: 'line' or 'row'.
        separator: Text between the texts of several columns.
    """

    def __init__(self, unit: str, separator: str) -> None:
        self._unit = unit
        self._separator = separator
        self._contents: dict[str, bytes] = {}

    def find(self, cells: Sequence[str], number: int) -> Place:
        """Take the text of a row; its id is the place of the row.

        Args:
            cells: Cells of the columns of text.
            number: Number of the line or row.
        """
        example_id = f"{self._unit} {number}"
        # JSON can hold half of a surrogate pair, of which the file check says that it is not UTF-8.
        self._contents[example_id] = self._separator.join(cells).encode("utf-8", "surrogatepass")
        return Place(example_id, example_id, None)

    def make_inputs(self, ids: Sequence[str]) -> Values:
        """Make the texts of ids that `find` gave."""
        contents, self._contents = self._contents, {}
        return Values(tuple(contents[example_id] for example_id in ids))
