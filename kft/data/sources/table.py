"""Reader of a table of paths or texts, and labels."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kft.config import DataConfig
from kft.data.found import Found
from kft.data.refusing import refuse_bad
from kft.data.sources.path_hints import describe_remedy
from kft.data.sources.table_columns import Columns, choose_columns
from kft.data.sources.table_fields import BadCellError, TimeField
from kft.data.sources.table_lines import Row
from kft.data.sources.table_metadata import read_metadata
from kft.data.sources.table_paths import TablePaths
from kft.data.sources.table_reading import Table, open_table
from kft.data.sources.table_targets import read_targets
from kft.data.sources.table_texts import TableTexts
from kft.errors import DataError
from kft.examples import SPLIT_NAMES, Examples, Inputs, Quarantined, SplitName
from kft.modalities import choose_modality
from kft.printing import listed, printable, readable


def find_table(config: DataConfig) -> Found:
    """Find the files or texts, and the labels, of a CSV, TSV, Parquet or JSON Lines file.

    Memory holds the path or text and a few numbers of each row, not the other columns.

    Raises:
        DataError: The table or a column is missing, the file is not a table,
            its labels cannot be learned, or rows cannot be used: all of them,
            or any if `data.on_invalid_file` is `stop`. A row cannot be used if a
            value is blank or not of the kind of its column, or if its file is
            missing, outside the table's folder, or listed before.
    """
    table = open_table(Path(config.path or "").expanduser().absolute())
    columns = choose_columns(table, config)
    inputs: TablePaths | TableTexts = (
        TableTexts(table.unit, config.table.separator)
        if columns.hold_text
        else TablePaths(
            table.path.parent, config.table, lambda: choose_modality(config).reads_folders
        )
    )
    rows = _Rows(table, columns, inputs)
    quarantined = rows.read()
    if not rows.total:
        raise DataError(f"{table.path}: no {table.unit} of data below the header.")
    hint = ""
    respelled: tuple[str, ...] = ()
    if isinstance(inputs, TablePaths):
        inputs.refuse_unused_prefix()
        respelled = inputs.describe_respelled()
        # Without this condition the suggested settings could lose the files found so far.
        if inputs.missing and len(quarantined) > len(rows.ids):
            modality = choose_modality(config)
            hint = describe_remedy(inputs.missing, table.path.parent, config.table, modality)
    refuse_bad(
        quarantined,
        rows.total,
        on_invalid_file=config.on_invalid_file,
        source=str(table.path),
        what=f"{table.unit}s",
        hint=hint,
    )
    _refuse_mixed_times(table, columns.time)
    values = rows.values
    targets = read_targets(
        table, columns, values, place_of=rows.describe, quarantined=quarantined, hint=hint
    )
    ids, numbers = rows.ids, rows.numbers
    metadata = read_metadata(table, columns.names, numbers)
    return Found(
        examples=Examples(ids, rows.make_inputs(ids), targets.values, metadata=metadata),
        given_splits=_read_splits(columns, values),
        task=targets.task,
        class_names=targets.names,
        source=f"table {table.path}",
        quarantined=quarantined,
        groups=_read_groups(columns, values),
        times=None if columns.time is None else tuple(values[:, -1].tolist()),
        notes=(*targets.notes, *respelled, *([hint] if hint else [])),
    )


class _Rows:
    """Usable rows: an id each, and a number for each column except the inputs.

    Ids are the keys of a mapping to their positions, so each is held only once
    while the table is read.
    """

    def __init__(self, table: Table, columns: Columns, inputs: TablePaths | TableTexts) -> None:
        self.total = 0
        self._table = table
        self._columns = columns
        self._fields = columns.fields
        self._inputs = inputs
        self._places: dict[str, int] = {}
        self._numbers = array("q")
        self._values = array("d")
        self._contradicted: set[int] = set()
        self._bad: list[tuple[int, Quarantined]] = []

    def read(self) -> tuple[Quarantined, ...]:
        """Read all rows, and return the unusable ones in order."""
        names = [*self._columns.inputs, *(field.column for field in self._fields)]
        for row in self._table.read(names):
            self.total += 1
            self._read_row(row)
        self._bad.sort(key=lambda pair: pair[0])
        return tuple(bad for _, bad in self._bad)

    def _name_line(self, number: int) -> str:
        return f"{readable(self._table.path.name)}, {self._table.unit} {number}"

    def _leave_out(self, number: int, example_id: str, path: str, reason: str) -> None:
        place = self._name_line(number)
        name = f"{place}: {example_id}" if example_id else place
        self._bad.append((number, Quarantined(name, readable(path), reason)))

    def _read_row(self, row: Row) -> None:
        example_id, path = "", str(self._table.path)
        try:
            if row.problem is not None:
                raise BadCellError(row.problem)
            count = len(self._columns.inputs)
            written, cells = row.cells[:count], row.cells[count:]
            if not any(written):
                names = listed([repr(name) for name in self._columns.inputs])
                raise BadCellError(f"column {names} is blank")
            example_id, path, problem = self._inputs.find(written, row.number)
            # Parse before the file is checked: a class must be known even if all its files are
            # missing.
            values = [field.parse(cell) for field, cell in zip(self._fields, cells, strict=True)]
            problem = problem or self._columns.find_label_problem(values)
            if problem is not None:
                raise BadCellError(problem)
            self._keep(example_id, path, row.number, values)
        except BadCellError as error:
            self._leave_out(row.number, example_id, path, str(error))

    def _keep(self, example_id: str, path: str, number: int, values: Sequence[float]) -> None:
        place = self._places.setdefault(example_id, len(self._numbers))
        if place == len(self._numbers):
            self._numbers.append(number)
            self._values.extend(values)
            return
        first, unit = self._numbers[place], self._table.unit
        kept = self._values[place * len(values) : (place + 1) * len(values)]
        differing = [
            repr(field.column)
            for field, one, other in zip(self._fields, kept, values, strict=True)
            if one != other
        ]
        if differing and place not in self._contradicted:
            # Either row may be wrong, so neither is used.
            self._contradicted.add(place)
            again = f"listed again in {unit} {number}, with another {listed(differing)}"
            self._leave_out(first, example_id, path, again)
        if differing:
            raise BadCellError(f"listed in {unit} {first} too, with another {listed(differing)}")
        raise BadCellError(f"listed already in {unit} {first}")

    @property
    def values(self) -> np.ndarray:
        """Values as float64 (usable rows, columns except the inputs)."""
        values = np.frombuffer(self._values, dtype=np.float64)
        values = values.reshape(-1, len(self._fields))
        return np.delete(values, sorted(self._contradicted), axis=0)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the usable rows."""
        return tuple(
            name for name, place in self._places.items() if place not in self._contradicted
        )

    @property
    def numbers(self) -> list[int]:
        """Numbers of the usable rows in the table."""
        return [each for at, each in enumerate(self._numbers) if at not in self._contradicted]

    def describe(self, place: int) -> str:
        """Describe the row at an index of `values`: its line in the table, and its id."""
        line = self._name_line(self.numbers[place])
        return printable(f"{line}: {readable(self.ids[place])}")

    def make_inputs(self, ids: Sequence[str]) -> Inputs:
        """Return the inputs of ids, and drop the stored ids to limit the peak memory."""
        self._places.clear()
        return self._inputs.make_inputs(ids)


def _refuse_mixed_times(table: Table, times: TimeField | None) -> None:
    if times is not None and len(times.kinds) > 1:
        found = " and ".join(f"{kind} ({text})" for kind, text in times.kinds.items())
        raise DataError(
            f"{table.path}: column {times.column!r} holds {found}, which cannot be ordered "
            "together. Write all times in one way."
        )


def _read_splits(columns: Columns, values: np.ndarray) -> tuple[SplitName, ...] | None:
    if columns.split is None:
        return None
    codes = values[:, len(columns.labels)].astype(np.int64)
    return tuple(SPLIT_NAMES[code] for code in codes)


def _read_groups(columns: Columns, values: np.ndarray) -> tuple[str, ...] | None:
    if columns.group is None:
        return None
    names = columns.group.names
    place = len(columns.labels) + (columns.split is not None)
    return tuple(names[code] for code in values[:, place].astype(np.int64))
