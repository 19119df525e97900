"""Roles of a table's columns: path or text, labels, split, group, time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kft.config import DataConfig
from kft.data.sources.table_fields import Field, NameField, NumberField, SplitField, TimeField
from kft.data.sources.table_reading import Table
from kft.errors import DataError
from kft.modalities import choose_modality
from kft.printing import listed
from kft.registry import suggest
from kft.tasks import Task, find_task
from kft.tasks.guessing import OF_NAMES

_PATH_COLUMNS = ("path", "file", "filename")
_LABEL_COLUMNS = ("label", "class")


@dataclass(frozen=True)
class Columns:
    """Columns to read.

    Attributes:
        inputs: Name of the column of paths, or names of the columns of text.
        hold_text: Whether the examples are texts in the table itself.
        labels: One column of names, or one or more columns of numbers or flags.
        task: Task of the labels; None if it must be inferred from the data.
        split: Column that says train, validation or holdout, if any.
        group: Column that says which examples belong together, if any.
        time: Column that says when an example was made, if any.
    """

    inputs: tuple[str, ...]
    hold_text: bool
    labels: tuple[NameField] | tuple[NumberField, ...]
    task: Task | None
    split: SplitField | None
    group: NameField | None
    time: TimeField | None

    @property
    def fields(self) -> tuple[Field, ...]:
        """All columns except the inputs: labels, split, group, time."""
        others = (self.split, self.group, self.time)
        return (*self.labels, *(field for field in others if field is not None))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns that are read."""
        return (*self.inputs, *(field.column for field in self.fields))

    def find_label_problem(self, values: Sequence[float]) -> str | None:
        """Return the reason why the values of a row cannot be its labels; None if they can.

        Args:
            values: Values in the order of `fields`.
        """
        if self.task is None or isinstance(self.labels[0], NameField):
            return None
        names = [field.column for field in self.labels]
        return self.task.find_value_problem(values[: len(names)], names)


def choose_columns(table: Table, config: DataConfig) -> Columns:
    """Choose the columns that the configuration names, or those with the usual names.

    Raises:
        DataError: A column is missing or ambiguous.
    """
    texts = choose_text_columns(table, config)
    split, group, time = (
        None if name is None else require_column(table, key, name)
        for key, name in (
            ("table.split_column", config.table.split_column),
            ("split.group_column", config.split.group_column),
            ("split.time_column", config.split.time_column),
        )
    )
    task = find_task(config.target)
    return Columns(
        inputs=texts or (choose_path_column(table, config),),
        hold_text=bool(texts),
        labels=_make_label_fields(_choose_label_columns(table, config), task),
        task=task,
        split=None if split is None else SplitField(split),
        group=None if group is None else NameField(group),
        time=None if time is None else TimeField(time),
    )


def choose_text_columns(table: Table, config: DataConfig) -> tuple[str, ...]:
    """Choose the columns of text; none if the table lists files."""
    names = config.table.text_columns
    if names and config.table.path_column is not None:
        raise DataError(
            "data.table: text_columns and path_column are both set. A table holds texts, or paths "
            "of files: keep one of the two."
        )
    if names:
        return tuple(require_column(table, "table.text_columns", name) for name in names)
    usual = choose_modality(config).value_columns
    columns = [column.lower() for column in table.header]
    has_paths = config.table.path_column is not None or any(c in _PATH_COLUMNS for c in columns)
    if has_paths or not any(column in usual for column in columns):
        return ()
    return (find_usual_column(table, "text_columns", usual),)


def choose_path_column(table: Table, config: DataConfig) -> str:
    """Choose the column of paths: as configured, or by its usual name.

    Raises:
        DataError: The column is missing or ambiguous.
    """
    chosen = config.table.path_column
    if chosen is None:
        return find_usual_column(table, "path_column", _PATH_COLUMNS)
    return require_column(table, "table.path_column", chosen)


def _choose_label_columns(table: Table, config: DataConfig) -> tuple[str, ...]:
    names = config.table.label_columns
    if not names:
        return (find_usual_column(table, "label_columns", _LABEL_COLUMNS),)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"data.table.label_columns: {listed(repeated)} is repeated. Name each column once."
        )
    return tuple(require_column(table, "table.label_columns", name) for name in names)


def _make_label_fields(
    names: tuple[str, ...], task: Task | None
) -> tuple[NameField] | tuple[NumberField, ...]:
    if (OF_NAMES if task is None else task).reads_names(len(names)):
        return (NameField(names[0]),)
    with_words = task is None or not task.reads_amounts
    return tuple(NumberField(name, with_words=with_words) for name in names)


def require_column(table: Table, key: str, name: str) -> str:
    """Return the column that a setting names.

    Raises:
        DataError: There is no such column.
    """
    named = [column for column in table.header if column]
    if name not in named:
        raise DataError(
            f"data.{key}: {table.path} has no column {name!r}. {suggest(name, named)} "
            f"Columns: {listed(named, 30)}.{_ask_for_header(table.path, named)}"
        )
    return name


def find_usual_column(table: Table, key: str | None, usual: Sequence[str]) -> str:
    """Find the column with one of the usual names.

    Args:
        table: Table to look in.
        key: Setting in `data.table` that names another column; None if there is none.
        usual: Names in lower case.

    Raises:
        DataError: There is no such column, or more than one.
    """
    named = [column for column in table.header if column]
    chosen = [name for name in named if name.lower() in usual]
    if len(chosen) != 1:
        found = f"more than one: {listed(chosen)}" if chosen else "none"
        remedy = "Rename a column" if key is None else f"Choose one with data.table.{key}"
        raise DataError(
            f"{table.path}: looked for a column {' or '.join(usual)} and found {found}. "
            f"Columns: {listed(named, 30)}. {remedy}."
            f"{_ask_for_header(table.path, named)}"
        )
    return chosen[0]


def _ask_for_header(table: Path, names: Sequence[str]) -> str:
    """Return advice to add a header if the first line is a row of data; empty otherwise."""
    # File systems reject longer names with an error.
    candidates = [name for name in names if "." in name and len(name.encode()) < 256]
    is_file = any((table.parent / name).is_file() for name in candidates)
    first = "The first line names a file, so the table has no header: add one, such as path,label."
    return f" {first}" if is_file else ""
