"""Output of `kft data`: the split of the data, and the contents of each split."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from kft.cli.records import Form, print_csv, print_document
from kft.cli.tables import make_console, show_table
from kft.examples import SPLIT_NAMES, Splits
from kft.printing import printable
from kft.workflow import describe_data

if TYPE_CHECKING:
    from kft.examples import SplitName


def show_splits(splits: Splits, form: Form) -> None:
    """Print the use of every file, then one record per class, label or number; JSON has both."""
    if form == "json":
        print_document(_describe(splits))
        return
    for line in describe_data(splits):
        click.echo(printable(line), err=form == "csv")
    if form == "csv":
        print_csv(_list_targets(splits))
        return
    rows = [
        (name, *(_format_cell(splits, split, index) for split in SPLIT_NAMES))
        for index, name in enumerate(splits.class_names)
    ]
    total = ("all", *(f"{len(splits.get(split)):,}" for split in SPLIT_NAMES))
    show_table(make_console(), ("", *(f"{split}>" for split in SPLIT_NAMES)), [*rows, total])


def _describe(splits: Splits) -> dict[str, Any]:
    """Make the JSON values of the splits."""
    return {
        "task": splits.task.name,
        "examples": {split: len(splits.get(split)) for split in SPLIT_NAMES},
        "fingerprint": splits.fingerprint,
        "origin": splits.origin,
        "ignored": dict(splits.ignored),
        "repaired": dict(splits.repaired),
        "noticed": dict(splits.noticed),
        "quarantined": [asdict(bad) for bad in splits.quarantined],
        "targets": _list_targets(splits),
    }


def _list_targets(splits: Splits) -> list[dict[str, Any]]:
    """Make one record per class, label or number: its name, and its count or range by split."""
    return [
        {
            "name": name,
            **{
                key: value
                for split in SPLIT_NAMES
                for key, value in _measure(splits, split, index).items()
            },
        }
        for index, name in enumerate(splits.class_names)
    ]


def _measure(splits: Splits, split: SplitName, index: int) -> dict[str, Any]:
    """Compute the count of a class or label in a split, or the range of a number."""
    targets = splits.get(split).targets
    if splits.task.is_stratified:
        return {split: int(splits.task.count(targets, len(splits.class_names))[index])}
    is_empty = not len(targets)
    return {
        f"{split}_least": None if is_empty else float(targets[:, index].min()),
        f"{split}_greatest": None if is_empty else float(targets[:, index].max()),
    }


def _format_cell(splits: Splits, split: SplitName, index: int) -> str:
    values = list(_measure(splits, split, index).values())
    if splits.task.is_stratified:
        return f"{values[0]:,}"
    return "" if values[0] is None else f"{values[0]:g} to {values[1]:g}"
