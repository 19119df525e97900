"""Cache of TFDS and TFRecord records that are unpacked to files once."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kft.config.section import compose
from kft.data.found import Found, sort_class_names
from kft.data.refusing import refuse_bad
from kft.errors import DataError
from kft.examples import Examples, Files, Quarantined, SplitName
from kft.modalities import Modality
from kft.printing import listed
from kft.runs.atomic import atomic_directory
from kft.runs.caches import cache_folder
from kft.tasks import Task
from kft.tasks.guessing import parse_fields
from kft.tasks.vectors import Names, Vectors

_VERSION = 3  # increases with each change of the cache's layout
_INDEX = "examples.jsonl"
_QUARANTINED = "quarantined.jsonl"
_UNKNOWN = ".unknown"
Label = int | str | list[float]


@dataclass(frozen=True)
class Record:
    """Labelled example of a record file.

    Attributes:
        id: Name within the data set.
        split: Split that it belongs to, or None.
        content: Encoded example.
        label: Class index, class name, or values of labels or numbers.
    """

    id: str
    split: SplitName | None
    content: bytes
    label: Label


@dataclass(frozen=True)
class Unpacked:
    """Files of unpacked records with their labels, and the records that cannot be used."""

    ids: tuple[str, ...]
    paths: tuple[str, ...]
    splits: tuple[SplitName | None, ...]
    labels: tuple[Label, ...]
    quarantined: tuple[Quarantined, ...]


def unpack(
    sources: Sequence[Path],
    request: object,
    modality: Modality,
    read: Callable[[], Iterable[Record | Quarantined]],
) -> Unpacked:
    """Unpack records to files, or find them in the cache.

    The name of the folder is a hash of `request` and the names, sizes and modification times
    of the sources. The folder gets this name only when it is complete.

    Args:
        sources: Files that hold the records.
        request: Settings that affect the result, as a JSON value.
        modality: Modality of the records.
        read: Reads the usable and unusable records; called only if they are not in the
            cache.

    Raises:
        DataError: No record can be used.
    """
    target = cache_folder("unpacked") / _make_key(sources, request)
    if not target.is_dir():
        try:
            with atomic_directory(target) as folder:
                _write(folder, read(), str(sources[0]), modality)
        except OSError:
            if not target.is_dir():  # otherwise another process has written the same content
                raise
    return _read_index(target)


def _make_key(sources: Sequence[Path], request: object) -> str:
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sources]
    return hashlib.sha256(json.dumps([_VERSION, stats, request]).encode()).hexdigest()[:32]


def _write(
    folder: Path, records: Iterable[Record | Quarantined], source: str, modality: Modality
) -> None:
    """Write the examples, their index, and the list of unusable records."""
    count = 0
    bad: list[Quarantined] = []
    with (folder / _INDEX).open("w", encoding="utf-8") as index:
        for record in records:
            if isinstance(record, Quarantined):
                bad.append(record)
                continue
            count += 1
            name = (
                f"{count // 1000:03d}/{count:06d}{modality.find_ending(record.content) or _UNKNOWN}"
            )
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(record.content)
            index.write(json.dumps([record.id, name, record.split, record.label]) + "\n")
    if not count:
        refuse_bad(bad, len(bad), on_invalid_file="stop", source=source, what="records")
        raise DataError(f"{source}: the files hold no records.")
    lines = [json.dumps([one.name, one.path, one.reason]) + "\n" for one in bad]
    (folder / _QUARANTINED).write_text("".join(lines), encoding="utf-8")


def _read_index(folder: Path) -> Unpacked:
    ids, names, splits, labels = zip(*_read_lines(folder / _INDEX), strict=True)
    paths = tuple(str(folder / name) for name in names)
    bad = tuple(Quarantined(*line) for line in _read_lines(folder / _QUARANTINED))
    return Unpacked(ids, paths, splits, labels, bad)


def _read_lines(path: Path) -> list[list[Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def to_found(
    unpacked: Unpacked,
    *,
    class_names: Sequence[str],
    task: Task | None,
    source: str,
    on_invalid_file: Literal["quarantine", "stop"],
) -> Found:
    """Convert the labels of unpacked records to targets.

    Args:
        unpacked: Files and their labels.
        class_names: Names by index, if known.
        task: Task of the labels; None if it must be inferred from them.
        source: Name of the data for messages.
        on_invalid_file: `data.on_invalid_file`.

    Raises:
        DataError: Labels differ in kind or length, an index has no name, or records
            cannot be used and `on_invalid_file` is `stop`.
    """
    kinds = {type(label) for label in unpacked.labels}
    if len(kinds) > 1:
        raise DataError(f"{source}: labels of more than one type; expected one for all records.")
    if kinds == {int} and task is not None and task.reads_amounts:
        labels = tuple([float(label)] for label in unpacked.labels)  # type: ignore[arg-type]
        unpacked, kinds = replace(unpacked, labels=labels), {list}
    names: tuple[str, ...] = ()
    if kinds == {list}:
        names = _name_values(unpacked.labels, class_names, task, source)
        unpacked = _leave_out(unpacked, _find_misfits(unpacked.labels, names, task))
    elif task is not None and not task.reads_names(1):
        raise DataError(f"data.target: {task.word!r}, but {source} holds one class per record.")
    elif kinds == {int} and class_names:
        unpacked = _leave_out(unpacked, _find_unlabelled(unpacked.labels))
    total = len(unpacked.ids) + len(unpacked.quarantined)
    refuse_bad(
        unpacked.quarantined, total, on_invalid_file=on_invalid_file, source=source, what="records"
    )
    if kinds == {list}:
        values = np.asarray(unpacked.labels, np.float64)
        place_of = unpacked.ids.__getitem__
        fields: Names | Vectors = Vectors(values, names, source, "record", place_of)
    else:
        fields = Names(*_read_classes(unpacked, class_names, source))
    targets = parse_fields(fields, task)
    given = tuple(split for split in unpacked.splits if split is not None)
    return Found(
        Examples(unpacked.ids, Files(unpacked.paths), targets.values),
        given or None,
        targets.task,
        targets.names,
        source,
        quarantined=unpacked.quarantined,
        notes=targets.notes,
    )


def _find_unlabelled(labels: Sequence[Label]) -> dict[int, str]:
    """Find the records with a negative index, by which data sets mark a missing label.

    Python would count it from the end of the names.
    """
    return {
        place: f"label {label} means that it is unlabelled"
        for place, label in enumerate(labels)
        if int(label) < 0  # type: ignore[arg-type]
    }


def _find_misfits(
    labels: Sequence[Label], names: Sequence[str], task: Task | None
) -> dict[int, str]:
    """Find the records whose values cannot be targets of the task, with reasons."""
    problems: dict[int, str] = {}
    for place, values in enumerate(labels):
        assert isinstance(values, list)
        problem = None
        if not all(map(math.isfinite, values)):
            problem = "a value is not a finite number"
        elif task is not None:
            problem = task.find_value_problem(values, names)
        if problem is not None:
            problems[place] = problem
    return problems


def _leave_out(unpacked: Unpacked, problems: Mapping[int, str]) -> Unpacked:
    """Quarantine the records at these indices, each with its reason."""
    if not problems:
        return unpacked
    kept = [place for place in range(len(unpacked.ids)) if place not in problems]
    bad = [
        Quarantined(unpacked.ids[place], unpacked.paths[place], reason)
        for place, reason in problems.items()
    ]
    return Unpacked(
        ids=tuple(unpacked.ids[place] for place in kept),
        paths=tuple(unpacked.paths[place] for place in kept),
        splits=tuple(unpacked.splits[place] for place in kept),
        labels=tuple(unpacked.labels[place] for place in kept),
        quarantined=(*unpacked.quarantined, *bad),
    )


def _read_classes(
    unpacked: Unpacked, class_names: Sequence[str], source: str
) -> tuple[tuple[str, ...], np.ndarray]:
    labels: Sequence[Label] = unpacked.labels
    if class_names and isinstance(labels[0], int):
        beyond = sorted({i for i in labels if i >= len(class_names)})  # type: ignore[operator]
        if beyond:
            raise DataError(
                f"{source}: label {beyond[0]} is beyond the {len(class_names)} names of "
                f"data.records.class_names (0 to {len(class_names) - 1}). Name every class."
            )
        labels = [class_names[i] for i in labels]  # type: ignore[index]
    found = sort_class_names(str(label) for label in labels)
    names = tuple(class_names) or found
    # `join_classes` later joins these with the named class.
    names += tuple(label for label in found if label not in names and compose(label) in names)
    unnamed = sorted(set(found) - set(names))
    if unnamed:
        raise DataError(
            f"{source}: label {unnamed[0]!r} is not in data.records.class_names "
            f"({listed(names)}). Add it."
        )
    index = {name: i for i, name in enumerate(names)}
    return names, np.asarray([index[str(label)] for label in labels], dtype=np.int64)


def _name_values(
    labels: Sequence[Label], class_names: Sequence[str], task: Task | None, source: str
) -> tuple[str, ...]:
    """Name the values of each record; all records must have the same number of values.

    Raises:
        DataError: Records differ in their number of values, the number of names differs, a
            name is repeated, or the task needs classes.
    """
    lengths = sorted({len(label) for label in labels})  # type: ignore[arg-type]
    if len(lengths) > 1 or lengths == [0]:
        raise DataError(f"{source}: labels have {lengths} values; expected the same number in all.")
    if class_names and len(class_names) != lengths[0]:
        raise DataError(
            f"data.records.class_names: {len(class_names)} names, but {source} holds "
            f"{lengths[0]} values per record. Name each value."
        )
    if len(set(class_names)) < len(class_names):
        raise DataError("data.records.class_names: a name is repeated. Name each value once.")
    if task is not None and task.reads_names(lengths[0]):
        raise DataError(
            f"data.target: `{task.word}`, but {source} holds one number per record that is not a "
            "class index; allowed: labels (0 or 1), number."
        )
    return tuple(class_names) or tuple(f"label_{i}" for i in range(lengths[0]))
