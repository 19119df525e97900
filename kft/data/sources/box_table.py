"""Reader of a table with a row for each box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kft.config import DataConfig
from kft.data.found import Found
from kft.data.sources.boxes import collect_boxes, find_box_folder
from kft.data.sources.table_columns import find_usual_column, require_column
from kft.data.sources.table_lines import Row
from kft.data.sources.table_reading import Table, open_table
from kft.errors import DataError
from kft.modalities.annotated import FRACTIONS, Annotated, Annotations, Box

_PATHS = ("path", "file", "filename")
_CLASSES = ("class", "label", "name")
_SIDES = (
    ("x1", "xmin", "left"),
    ("y1", "ymin", "top"),
    ("x2", "xmax", "right"),
    ("y2", "ymax", "bottom"),
)


def find_box_table(config: DataConfig) -> Found:
    """Find the examples of a table with the columns path, class, x1, y1, x2 and y2.

    A row without a class and sides states that an example has no objects. Rows of one example
    need not follow each other.

    Raises:
        DataError: The table or a column is missing, or see `collect_boxes`.
    """
    table = open_table(Path(config.path or "").expanduser().absolute())
    _refuse_columns(config)
    folder = find_box_folder(config, table.path) or table.path.parent
    columns = [
        _choose(table, "path_column", config.table.path_column, _PATHS),
        _choose(table, "label_columns", next(iter(config.table.label_columns), None), _CLASSES),
        *(find_usual_column(table, None, names) for names in _SIDES),
    ]
    if config.table.split_column is not None:
        columns.append(require_column(table, "table.split_column", config.table.split_column))
    examples: dict[str, _Rows] = {}
    for row in table.read(columns):
        cells = row.cells or [""] * len(columns)
        examples.setdefault(cells[0], _Rows()).add(row, columns)
    size = FRACTIONS if config.boxes.units == "fractions" else None

    def read() -> Iterator[Annotated]:
        for written, rows in examples.items():
            yield rows.make(str(folder / written), table, size)

    return collect_boxes(Annotations(table.path.parent, read), config, f"table {table.path}")


def _refuse_columns(config: DataConfig) -> None:
    others = {"group_column": config.split.group_column, "time_column": config.split.time_column}
    for name, value in others.items():
        if value is not None:
            raise DataError(
                f"data.split.{name}: a table of boxes has rows of boxes, not of examples. Give "
                "the splits in a column (data.table.split_column), or remove it."
            )


def _choose(table: Table, key: str, given: str | None, usual: Sequence[str]) -> str:
    if given is None:
        return find_usual_column(table, key, usual)
    return require_column(table, f"table.{key}", given)


@dataclass
class _Rows:
    """Rows of one example."""

    boxes: list[Box] = field(default_factory=list)
    splits: dict[str, None] = field(default_factory=dict)
    problem: str | None = None
    number: int = 0

    def add(self, row: Row, columns: Sequence[str]) -> None:
        """Add a row; the first problem of an example is kept."""
        self.number = self.number or row.number
        try:
            if row.problem is not None:
                raise ValueError(row.problem)
            self._add(dict(zip(columns, row.cells, strict=True)), columns)
        except ValueError as error:
            self.problem = self.problem or f"line {row.number}: {error}"

    def _add(self, cells: Mapping[str, str], columns: Sequence[str]) -> None:
        path, name, *sides = (cells[column] for column in columns[:6])
        if not path:
            raise ValueError(f"column {columns[0]!r} is blank")
        if len(columns) > 6:
            self.splits[cells[columns[6]]] = None
        if not name and not any(sides):
            return
        if not name:
            raise ValueError(f"column {columns[1]!r} is blank, but the row has sides")
        try:
            left, top, right, bottom = map(float, sides)
        except ValueError:
            raise ValueError(f"sides {sides}; expected four numbers") from None
        self.boxes.append(Box(name, (left, top, right, bottom)))

    def make(self, file: str, table: Table, size: tuple[float, float] | None) -> Annotated:
        """Make the example."""
        place = f"{table.path.name}, {table.unit} {self.number}"
        problem = self.problem
        if len(self.splits) > 1:
            problem = problem or f"its rows are in several splits: {', '.join(self.splits)}"
        split = next(iter(self.splits), None)
        return Annotated(file, place, size, tuple(self.boxes), split, problem)
