"""TFRecord files that a path or glob means, and the split of each."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kft.data.found import find_split
from kft.data.sources.walking import OWN, describe_ending, find_hidden
from kft.errors import DataError
from kft.examples import Quarantined, SplitName
from kft.printing import listed, readable
from kft.runs.own_folders import is_own_folder


@dataclass(frozen=True)
class RecordFiles:
    """TFRecord files.

    Attributes:
        root: Folder that names are relative to.
        files: Files that can be opened, in order.
        splits: Split that the name of each file says; all None if no name says one.
        ignored: Reason -> number of files of the folder that were ignored for it.
        quarantined: Files that cannot be opened.
    """

    root: Path
    files: tuple[Path, ...]
    splits: tuple[SplitName | None, ...]
    ignored: Mapping[str, int]
    quarantined: tuple[Quarantined, ...]


def list_record_files(path: str) -> RecordFiles:
    """List the TFRecord files of a folder or glob, or the single file.

    Raises:
        DataError: There are no files, or only some of the names say their split.
    """
    given = Path(path).expanduser().absolute()
    ignored: Counter[str] = Counter()
    if given.is_dir():
        root, files = given, sorted(_find_in(given, ignored))
    elif os.path.lexists(given):
        root, files = given.parent, [given]
    else:
        pattern = given.relative_to(given.anchor).as_posix()
        files = sorted(p for p in Path(given.anchor).glob(pattern) if not p.is_dir())
        root = files[0].parent if files else given.parent
        root = root if all(p.is_relative_to(root) for p in files) else Path(root.anchor)
    if not files:
        raise DataError(
            f"data.path: no TFRecord file at {given}. Expected a folder with *.tfrecord "
            "files, or a glob that matches some."
        )
    problems = {file: _find_problem(file) for file in files}
    usable = tuple(file for file, problem in problems.items() if problem is None)
    return RecordFiles(
        root=root,
        files=usable,
        splits=_read_splits(root, usable),
        ignored=ignored,
        quarantined=tuple(
            Quarantined(readable(file.relative_to(root).as_posix()), readable(str(file)), problem)
            for file, problem in problems.items()
            if problem is not None
        ),
    )


def _find_in(folder: Path, ignored: Counter[str]) -> Iterator[Path]:
    """Find the record files below a folder; follows links and visits each real folder once."""
    seen: set[str] = set()
    for parent, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        if parent != str(folder) and is_own_folder(parent):
            subfolders.clear()
            ignored[OWN] += sum(len(inside) for _, _, inside in os.walk(parent))
            continue
        for name in names:
            path = Path(parent, name)
            hidden = next(filter(None, map(find_hidden, path.relative_to(folder).parts)), None)
            if hidden is not None:
                ignored[hidden] += 1
            elif ".tfrecord" not in name:
                ignored[describe_ending(name)] += 1
            else:
                yield path


def _find_problem(file: Path) -> str | None:
    """Return the reason why a file cannot be opened; None if it can."""
    if not file.exists():
        return "a link that leads nowhere"
    if not file.is_file():
        return "a pipe or device, not a file"
    try:
        file.open("rb").close()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def _read_splits(root: Path, files: tuple[Path, ...]) -> tuple[SplitName | None, ...]:
    """Read the split from the name of each file; either all names say one, or none."""
    splits: list[SplitName | None] = []
    for file in files:
        words = re.split(r"[^A-Za-z]+", file.relative_to(root).as_posix())
        named = {split for split in map(find_split, words) if split is not None}
        if len(named) > 1:
            raise DataError(f"{file}: its name says {' and '.join(sorted(named))}; rename it.")
        splits.append(named.pop() if named else None)
    unnamed = [str(f) for f, split in zip(files, splits, strict=True) if split is None]
    if unnamed and len(unnamed) < len(files):
        raise DataError(
            f"{root}: some files name their split and others do not: {listed(unnamed, 5)}. "
            "Rename them, or give a glob that excludes them."
        )
    return tuple(splits)
