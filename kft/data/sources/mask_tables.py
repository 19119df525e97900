"""Reader of a table of paths of examples and of their masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kft.config import DataConfig
from kft.data.found import Found
from kft.data.refusing import refuse_bad
from kft.data.sources.mask_classes import find_class_names
from kft.data.sources.table_columns import choose_path_column, require_column
from kft.data.sources.table_fields import BadCellError, NameField, SplitField
from kft.data.sources.table_lines import Row
from kft.data.sources.table_paths import TablePaths
from kft.data.sources.table_reading import open_table
from kft.errors import DataError
from kft.examples import SPLIT_NAMES, Examples, Files, Quarantined, SplitName
from kft.printing import printable, readable
from kft.tasks import find_task, load_task


def find_mask_table(config: DataConfig) -> Found:
    """Find the examples and masks that a table lists, with their splits and groups.

    Raises:
        DataError: The table or a column is missing, the classes are unknown, or rows cannot be
            used: all of them, or any if `data.on_invalid_file` is `stop`.
    """
    table = open_table(Path(config.path or "").expanduser().absolute())
    folder = table.path.parent
    masks = config.masks.folder
    names = find_class_names(config.masks, folder)
    path_column = choose_path_column(table, config)
    mask_column = require_column(table, "masks.column", config.masks.column)
    split_column, group_column = config.table.split_column, config.split.group_column
    split = None if split_column is None else SplitField(split_column)
    group = None if group_column is None else NameField(group_column)
    fields = [field for field in (split, group) if field is not None]
    for key, field in (("table.split_column", split), ("split.group_column", group)):
        if field is not None:
            require_column(table, key, field.column)
    finder = TablePaths(folder, config.table)
    mask_table = config.table.model_copy(update={"folder": masks, "ending": None})
    mask_finder = TablePaths(folder, mask_table)
    places: dict[str, tuple[str, list[float]]] = {}
    quarantined: list[Quarantined] = []
    total = 0
    for row in table.read([path_column, mask_column, *(field.column for field in fields)]):
        total += 1
        name = f"{readable(table.path.name)}, {table.unit} {row.number}"
        try:
            example_id, mask = _find_files(row, finder, mask_finder, mask_column)
            if example_id in places:
                raise BadCellError("listed already")
            values = [field.parse(cell) for field, cell in zip(fields, row.cells[2:], strict=True)]
            places[example_id] = (mask, values)
        except BadCellError as reason:
            quarantined.append(Quarantined(printable(name), readable(str(table.path)), str(reason)))
    if not total:
        raise DataError(f"{table.path}: no {table.unit} of data below the header.")
    refuse_bad(
        quarantined,
        total,
        on_invalid_file=config.on_invalid_file,
        source=str(table.path),
        what=f"{table.unit}s",
    )
    codes = np.array([each for _, each in places.values()], np.int64)
    codes = codes.reshape(len(places), len(fields))
    return Found(
        Examples(
            ids=tuple(places),
            inputs=finder.make_inputs(tuple(places)),
            targets=np.zeros((len(places), len(names)), np.int64),
            target_files=Files(tuple(mask for mask, _ in places.values())),
        ),
        _read_splits(codes[:, 0]) if split is not None else None,
        find_task(config.target) or load_task("segmentation"),
        names,
        f"table {table.path}",
        quarantined=tuple(quarantined),
        groups=None
        if group is None
        else tuple(group.names[int(code)] for code in codes[:, -1].tolist()),
    )


def _find_files(
    row: Row, finder: TablePaths, mask_finder: TablePaths, column: str
) -> tuple[str, str]:
    """Find the id of a row's example, and the path of its mask.

    Raises:
        BadCellError: One of the two cannot be used.
    """
    if row.problem is not None:
        raise BadCellError(row.problem)
    written, mask = row.cells[:2]
    if not written or not mask:
        raise BadCellError("its path is blank" if not written else f"column {column!r} is blank")
    example, target = finder.find([written], row.number), mask_finder.find([mask], row.number)
    if example.problem is not None:
        raise BadCellError(f"{readable(written)}: {example.problem}")
    if target.problem is not None:
        raise BadCellError(f"its mask {readable(mask)}: {target.problem}")
    return example.id, target.path


def _read_splits(codes: np.ndarray) -> tuple[SplitName, ...]:
    return tuple(SPLIT_NAMES[int(code)] for code in codes.tolist())
