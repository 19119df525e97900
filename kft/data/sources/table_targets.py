"""Targets from the label columns of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from kft.data.found import sort_class_names
from kft.data.refusing import list_bad
from kft.data.sources.table_columns import Columns
from kft.data.sources.table_fields import NameField, NumberField, parse_number
from kft.data.sources.table_reading import Table
from kft.errors import DataError
from kft.examples import Quarantined
from kft.printing import listed
from kft.tasks.guessing import parse_fields
from kft.tasks.vectors import Names, Targets, Vectors

_NAMED = 5


def read_targets(
    table: Table,
    columns: Columns,
    values: np.ndarray,
    *,
    place_of: Callable[[int], str],
    quarantined: Sequence[Quarantined],
    hint: str,
) -> Targets:
    """Infer the task of the labels if it is not given, and return names and targets.

    Args:
        table: Table of the labels.
        columns: Columns of the table.
        values: float64 (usable rows, columns except the path).
        place_of: Describes the row at an index, for messages.
        quarantined: Rows that cannot be used.
        hint: Advice that makes them usable, or an empty string.

    Raises:
        DataError: The labels are ambiguous or cannot be learned.
    """
    label = columns.labels[0]
    if isinstance(label, NameField):
        codes = values[:, 0].astype(np.int64)
        if columns.task is None:
            _refuse_mostly_numbers(table, label, codes, place_of)
        _refuse_lost_classes(table, label, codes, quarantined, hint)
        return parse_fields(_sort_names(label, codes), columns.task)
    fields = [field for field in columns.labels if isinstance(field, NumberField)]
    names = tuple(field.column for field in fields)
    vectors = Vectors(values[:, : len(names)], names, str(table.path), table.unit, place_of)
    targets = parse_fields(vectors, columns.task)
    return replace(targets, notes=(*_describe_words(fields), *targets.notes))


def _describe_words(fields: Sequence[NumberField]) -> Iterator[str]:
    """Say how many words were read as 1 and 0, and which columns mix kinds of cells."""
    total = sum((field.word_counts for field in fields), Counter())
    for pair, count in sorted(total.items()):
        columns = listed([field.column for field in fields if pair in field.word_counts])
        yield f"{count:,} cell{'s' * (count != 1)} {pair} in {columns} read as 1 and 0."
    for field in fields:
        ways = [f"{pair} ({count:,})" for pair, count in sorted(field.word_counts.items())]
        if field.number_count and ways:
            ways.append(f"numbers ({field.number_count:,})")
        if len(ways) > 1:
            yield f"column {field.column!r} mixes cells of {', '.join(ways)}."


def _refuse_mostly_numbers(
    table: Table, label: NameField, codes: np.ndarray, place_of: Callable[[int], str]
) -> None:
    """Refuse a single column of mostly numbers, which may be classes or amounts.

    A number with a decimal comma counts too, though only `data.target=class` accepts it.
    """
    is_number = np.asarray([_looks_numeric(name) for name in label.names], bool)[codes]
    if is_number.mean() <= 0.5:
        return
    others = np.flatnonzero(~is_number).tolist()
    which, lines = "numbers", ""
    if others:
        which = f"numbers in {int(is_number.sum()):,} of {len(codes):,} {table.unit}s"
        named = [f"{place_of(i)}: {label.names[codes[i]]!r}" for i in others[:_NAMED]]
        named += [f"and {len(others) - _NAMED:,} more"] * (len(others) > _NAMED)
        lines = " These are not numbers:\n  - " + "\n  - ".join(named)
    raise DataError(
        f"{table.path}: column {label.column!r} holds {which}, which may be classes or "
        "amounts. Set data.target=class or data.target=number; with the latter, cells that are "
        f"not numbers with a decimal point are left out.{lines}"
    )


def _looks_numeric(text: str) -> bool:
    return parse_number(text) is not None or parse_number(text.replace(",", ".", 1)) is not None


def _refuse_lost_classes(
    table: Table,
    label: NameField,
    codes: np.ndarray,
    quarantined: Sequence[Quarantined],
    hint: str,
) -> None:
    used = np.zeros(len(label.names), dtype=bool)
    used[codes] = True
    lost = [name for name, is_used in zip(label.names, used, strict=True) if not is_used]
    if lost:
        advice = f"Fix or remove these {table.unit}s." + (f" {hint}" if hint else "")
        raise DataError(
            f"{table.path}: no {table.unit} of class {listed(lost)} can be used, so the class "
            f"cannot be learned. {advice}\n{list_bad(quarantined)}"
        )


def _sort_names(label: NameField, codes: np.ndarray) -> Names:
    names = sort_class_names(label.names)
    index = {name: i for i, name in enumerate(names)}
    order = np.asarray([index[name] for name in label.names], dtype=np.int64)
    return Names(names, order[codes])
