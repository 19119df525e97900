"""A CSV or TSV table of image paths and labels."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kft.config.schema import DataConfig, TableConfig
from kft.data.found import SPLIT_WORDS, Found, find_split, listed, sort_class_names
from kft.data.splits import Examples, SplitName, TargetKind
from kft.errors import DataError
from kft.registry import suggest

_PATH_COLUMNS = ("path", "file", "filename")
_LABEL_COLUMNS = ("label", "class")


@dataclass(frozen=True)
class _Row:
    """One line of the table: its number in the file and its value by column."""

    line: int
    values: dict[str, str]


def find_table(config: DataConfig) -> Found:
    """The pictures and labels that a CSV or TSV file lists.

    Raises:
        DataError: The table or a column is missing, a line is short, a label
            is blank or of another kind, or a path is missing, listed twice
            or outside the table's folder.
    """
    table = Path(config.path or "").expanduser().absolute()
    header, rows = _read_rows(table)
    path_column = _choose_path_column(table, header, config.table)
    label_columns = _choose_label_columns(table, header, config.table)
    _refuse_blanks(table, rows, (path_column, *label_columns))
    ids, paths = _resolve_paths(table, rows, path_column)
    kind, class_names, targets = _read_targets(table, rows, label_columns, config.target)
    splits = _read_splits(table, header, rows, config.table.split_column)
    return Found(
        examples=Examples(ids=ids, paths=paths, targets=targets),
        given_splits=splits,
        target_kind=kind,
        class_names=class_names,
        source=f"table {table}",
    )


def _read_rows(table: Path) -> tuple[list[str], list[_Row]]:
    if not table.is_file():
        raise DataError(f"data.path: there is no table {table}.")
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{table}: not UTF-8 text ({error.reason}). Save it as UTF-8.") from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_find_delimiter(table, text))
    header: list[str] = []
    rows: list[_Row] = []
    for line in reader:
        cells = [cell.strip() for cell in line]
        if not any(cells):
            continue
        if not header:
            header = cells
        elif len(cells) != len(header):
            raise DataError(
                f"{table}, line {reader.line_num}: {len(cells)} values for {len(header)} columns "
                f"({listed(header)}). Quote values that hold the delimiter."
            )
        else:
            rows.append(_Row(reader.line_num, dict(zip(header, cells, strict=True))))
    if not rows:
        raise DataError(f"{table}: no line of data. Expected a header and a line per picture.")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{table}: column {listed(repeated)} comes twice in the header.")
    return header, rows


def _find_delimiter(table: Path, text: str) -> str:
    if table.suffix.lower() == ".tsv":
        return "\t"
    header = text.partition("\n")[0]
    return max(",;\t", key=header.count)  # the comma, where none occurs


def _choose_path_column(table: Path, header: list[str], config: TableConfig) -> str:
    if config.path_column is not None:
        return _require_column(table, header, "path_column", config.path_column)
    return _find_usual_column(table, header, "path_column", _PATH_COLUMNS)


def _choose_label_columns(table: Path, header: list[str], config: TableConfig) -> tuple[str, ...]:
    if config.label_columns:
        return tuple(
            _require_column(table, header, "label_columns", name) for name in config.label_columns
        )
    return (_find_usual_column(table, header, "label_columns", _LABEL_COLUMNS),)


def _require_column(table: Path, header: list[str], key: str, name: str) -> str:
    if name not in header:
        raise DataError(
            f"data.table.{key}: {table} has no column {name!r}. {suggest(name, header)} "
            f"Columns: {listed(header, 30)}."
        )
    return name


def _find_usual_column(table: Path, header: list[str], key: str, usual: Sequence[str]) -> str:
    chosen = [name for name in header if name.lower() in usual]
    if len(chosen) != 1:
        found = f"more than one: {listed(chosen)}" if chosen else "none"
        raise DataError(
            f"{table}: looked for a column {' or '.join(usual)} and found {found}. "
            f"Columns: {listed(header, 30)}. Say which with data.table.{key}."
        )
    return chosen[0]


def _refuse_blanks(table: Path, rows: Sequence[_Row], columns: Sequence[str]) -> None:
    for column in columns:
        lines = [str(row.line) for row in rows if not row.values[column]]
        if lines:
            raise DataError(
                f"{table}: column {column!r} is blank in {len(lines)} of {len(rows)} lines "
                f"(line {listed(lines)}). Fill them in or remove the lines."
            )


def _resolve_paths(
    table: Path, rows: Sequence[_Row], column: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Id and absolute path of each line's picture."""
    folder = table.parent
    first_line: dict[str, int] = {}
    missing: list[str] = []
    for row in rows:
        written = row.values[column]
        path = Path(os.path.normpath(folder / Path(written).expanduser()))
        where = f"{table}, line {row.line}"
        if not path.is_relative_to(folder):
            raise DataError(
                f"{where}: {written!r} lies outside {folder}. Paths are relative to the table's "
                "folder; move the table to a folder above the pictures."
            )
        name = path.relative_to(folder).as_posix()
        if name in first_line:
            raise DataError(
                f"{where}: {written!r} is listed already in line {first_line[name]}. "
                "Twice, it could be learned from and judged by; keep one line."
            )
        first_line[name] = row.line
        if not path.is_file():
            missing.append(f"line {row.line}: {written}")
    if missing:
        raise DataError(
            f"{table}: {len(missing)} of {len(rows)} pictures are missing in {folder} "
            f"({listed(missing, 5)}). Put them there or remove the lines."
        )
    return tuple(first_line), tuple(str(folder / name) for name in first_line)


def _read_targets(
    table: Path, rows: Sequence[_Row], columns: tuple[str, ...], wanted: str
) -> tuple[TargetKind, tuple[str, ...], np.ndarray]:
    kind = _decide_target(table, rows, columns) if wanted == "auto" else wanted
    if kind == "class":
        if len(columns) > 1:
            raise DataError(
                f"data.target: `class` needs one label column, but data.table.label_columns has "
                f"{len(columns)}: {listed(columns)}. For one 0 or 1 per column use `labels`."
            )
        return ("class", *_read_classes(table, rows, columns[0]))
    numbers = [[_to_number(table, row, column) for column in columns] for row in rows]
    targets = np.asarray(numbers, dtype=np.float32)
    if kind == "labels":
        _refuse_unusable_labels(table, rows, columns, targets)
        return "labels", columns, targets
    return "number", columns, targets


def _decide_target(table: Path, rows: Sequence[_Row], columns: tuple[str, ...]) -> TargetKind:
    """What the label columns hold, where that is beyond doubt."""
    values = {row.values[column] for row in rows for column in columns}
    numeric = all(_parse_number(value) is not None for value in values)
    if len(columns) == 1:
        if numeric:
            raise DataError(
                f"{table}: column {columns[0]!r} holds numbers, which may be classes or amounts. "
                "Say data.target=class or data.target=number."
            )
        return "class"
    if all(_parse_number(value) in (0.0, 1.0) for value in values):
        return "labels"
    if numeric:
        return "number"
    line, column, value = next(
        (row.line, column, row.values[column])
        for row in rows
        for column in columns
        if _parse_number(row.values[column]) is None
    )
    raise DataError(
        f"{table}, line {line}: {value!r} in column {column!r} is no number. Several label "
        "columns hold 0 or 1 each (labels), or numbers; for classes give one column of names."
    )


def _read_classes(
    table: Path, rows: Sequence[_Row], column: str
) -> tuple[tuple[str, ...], np.ndarray]:
    values = [row.values[column] for row in rows]
    names = sort_class_names(values)
    if len(names) < 2:
        raise DataError(
            f"{table}: column {column!r} holds one class, {names[0]!r}; telling classes apart "
            "needs at least two."
        )
    index = {name: i for i, name in enumerate(names)}
    return names, np.asarray([index[value] for value in values], dtype=np.int64)


def _refuse_unusable_labels(
    table: Path, rows: Sequence[_Row], columns: Sequence[str], targets: np.ndarray
) -> None:
    for row, values in zip(rows, targets, strict=True):
        for column, value in zip(columns, values, strict=True):
            if value not in (0.0, 1.0):
                raise DataError(
                    f"{table}, line {row.line}: {row.values[column]!r} in label column "
                    f"{column!r}; a label is 0 or 1. For amounts set data.target=number."
                )
    for column, total in zip(columns, targets.sum(axis=0), strict=True):
        if total == 0:
            raise DataError(
                f"{table}: label {column!r} is 0 in every line, so it cannot be learned. "
                "Remove the column from data.table.label_columns."
            )


def _parse_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _to_number(table: Path, row: _Row, column: str) -> float:
    value = _parse_number(row.values[column])
    if value is None:
        raise DataError(
            f"{table}, line {row.line}: {row.values[column]!r} in column {column!r} is no finite "
            "number."
        )
    return value


def _read_splits(
    table: Path, header: list[str], rows: Sequence[_Row], column: str | None
) -> tuple[SplitName, ...] | None:
    if column is None:
        return None
    _require_column(table, header, "split_column", column)
    splits: list[SplitName] = []
    for row in rows:
        split = find_split(row.values[column])
        if split is None:
            words = [word for group in SPLIT_WORDS.values() for word in group]
            raise DataError(
                f"{table}, line {row.line}: {row.values[column]!r} in column {column!r} is no "
                f"split. Allowed: {', '.join(words)}."
            )
        splits.append(split)
    return tuple(splits)
