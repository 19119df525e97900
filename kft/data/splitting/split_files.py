"""File splits.csv with the split of each example: a run writes it, and a later run may read it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kft.config.section import compose
from kft.data.found import Found
from kft.errors import DataError, first_line
from kft.examples import SPLIT_NAMES, SplitName, Splits
from kft.printing import listed
from kft.registry import suggest
from kft.runs.atomic import write_bytes

_COLUMNS = ["split", "id", "target"]
# Keeps the bytes of file names that are not UTF-8.
_ERRORS = "surrogateescape"


def write_splits_csv(splits: Splits, path: Path | str) -> None:
    """Write the columns split, id and target, with one line per example."""
    write_bytes(path, format_splits(splits))


def format_splits(splits: Splits) -> bytes:
    """Format the contents of splits.csv."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name in SPLIT_NAMES:
        examples = splits.get(name)
        for example_id, target in zip(examples.ids, examples.targets, strict=True):
            value = splits.task.format(target, splits.class_names)
            writer.writerow([name, example_id, value])
    return text.getvalue().encode(errors=_ERRORS)


def read_split_lines(content: bytes) -> dict[str, tuple[str, str]]:
    """Read the output of `format_splits` as id -> split and target."""
    lines = csv.DictReader(io.StringIO(content.decode(errors=_ERRORS), newline=""))
    return {line["id"]: (line["split"], line["target"]) for line in lines}


@dataclass(frozen=True)
class _Line:
    """Line of one example."""

    number: int
    split: SplitName
    target: str


def read_splits(found: Found, file: str) -> tuple[SplitName, ...]:
    """Read the split of each example from a file, matched by name.

    Args:
        found: Examples of a source.
        file: File in the format of `write_splits_csv`.

    Raises:
        DataError: The file has another format, its examples or targets differ from the data,
            or the source gives other splits.
    """
    path = Path(file).expanduser()
    lines = _read_lines(path)
    _refuse_other_examples(found, path, lines)
    splits = tuple(lines[name].split for name in found.examples.ids)
    _refuse_other_splits(found, path, splits)
    return splits


def _read_lines(path: Path) -> dict[str, _Line]:
    """Read the lines, by the name of their example."""
    where = f"data.split.file: {path}"
    try:
        text = path.read_bytes().decode("utf-8-sig", errors=_ERRORS)
    except OSError as error:
        raise DataError(
            f"{where} cannot be read: {error.strerror}. Name the splits.csv of a run; the "
            f"working directory is {Path.cwd()}."
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: dict[str, _Line] = {}
    try:
        header = next(reader, [])
        if header != _COLUMNS:
            raise DataError(
                f"{where} begins with {','.join(header)[:100]!r}; expected split,id,target, as in "
                "the splits.csv of a run. For a table with a column of splits set "
                "data.table.split_column."
            )
        for row in reader:
            if row:
                _add_line(lines, row, reader.line_num, where)
    except csv.Error as error:
        raise DataError(
            f"{where}, line {reader.line_num}: {first_line(error)} Use the file as the run "
            "wrote it."
        ) from None
    return lines


def _add_line(lines: dict[str, _Line], row: list[str], number: int, where: str) -> None:
    if len(row) != len(_COLUMNS):
        raise DataError(
            f"{where}, line {number}: {len(row)} values; expected 3: split, id, target."
        )
    split, name, target = row
    if split not in SPLIT_NAMES:
        raise DataError(
            f"{where}, line {number}: {split!r} is not a split. {suggest(split, SPLIT_NAMES)}"
        )
    if name in lines:
        raise DataError(
            f"{where}, line {number}: {name!r} is already in line {lines[name].number}. "
            "Keep one of the lines."
        )
    lines[name] = _Line(number, split, target)  # type: ignore[arg-type]


def _refuse_other_examples(found: Found, path: Path, lines: dict[str, _Line]) -> None:
    """Refuse a file whose examples or targets differ from the data."""
    names = set(found.examples.ids)
    reasons = {left_out.name: left_out.reason for left_out in found.quarantined}
    gone = [
        f"{name} ({reasons[name]})" if name in reasons else name
        for name in sorted(lines.keys() - names)
    ]
    new = sorted(names - lines.keys())
    changed = [
        f"{name} ({lines[name].target!r} there, {value!r} now)"
        for name, value in _format_targets(found)
        if name in lines and not found.task.are_equal(compose(lines[name].target), value)
    ]
    problems = []
    if gone:
        problems.append(
            f"{len(gone)} of its {len(lines)} examples are missing from the data: {listed(gone)}. "
            "Restore them, or remove their lines."
        )
    if new:
        problems.append(
            f"{len(new)} of {len(names)} examples found are not in the file: {listed(new)}. Add "
            "a line for each, or remove them from the data."
        )
    if changed:
        problems.append(
            f"the target of {len(changed)} of {len(names)} examples differs: {listed(changed)}. "
            "Correct the data or the lines."
        )
    if problems:
        listing = "\n".join(f"  - {problem}" for problem in problems)
        raise DataError(
            f"data.split.file: {path} does not fit {found.source}.\n{listing}\n"
            "Remove data.split.file to make a new split."
        )


def _format_targets(found: Found) -> list[tuple[str, str]]:
    examples = found.examples
    return [
        (name, found.task.format(target, found.class_names))
        for name, target in zip(examples.ids, examples.targets, strict=True)
    ]


def _refuse_other_splits(found: Found, path: Path, splits: Sequence[SplitName]) -> None:
    """Refuse a file that contradicts the splits of the source.

    If the source gives no validation or holdout, a run may have taken them from its training
    examples; this is not a contradiction.
    """
    if found.given_splits is None:
        return
    given = set(found.given_splits)
    moved = [
        f"{name} ({split} there, {source})"
        for name, split, source in zip(found.examples.ids, splits, found.given_splits, strict=True)
        if split != source and (source != "train" or split in given)
    ]
    if moved:
        raise DataError(
            f"data.split.file: {path} and {found.source} put {len(moved)} of {len(splits)} "
            f"examples in different splits: {listed(moved)}. Remove data.split.file "
            "to use those of the source."
        )
