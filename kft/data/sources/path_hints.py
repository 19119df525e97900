"""Where a table's missing files are, and which settings would find them there."""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kft.config import TableConfig
from kft.config.loading import parse_yaml
from kft.data.sources.table_paths import KEPT_MISSING, TablePaths
from kft.errors import ConfigError, DataError
from kft.modalities import Modality
from kft.printing import printable, readable

# The search is for a hint: it is to end at once on any disk.
_SAMPLES = 20
_FOLDERS = 200
_ENTRIES = 200_000


class _Remedy(NamedTuple):
    """Settings of `data.table` that lead a path to a file."""

    folder: str | None
    ending: str | None
    remove_prefix: str | None

    def describe(self, config: TableConfig) -> str:
        """What to change in a configuration, as `set data.table.folder=files`."""
        wanted = {f"data.table.{key}": value for key, value in self._asdict().items()}
        new = [f"{key}={_quote(value)}" for key, value in wanted.items() if value is not None]
        old = [
            key
            for key, value in wanted.items()
            if value is None and getattr(config, key.removeprefix("data.table.")) is not None
        ]
        changes = [f"set {' '.join(new)}"] * bool(new) + [f"leave out {', '.join(old)}"] * bool(old)
        return " and ".join(changes)


def describe_remedy(
    missing: Sequence[str], folder: Path, config: TableConfig, modality: Modality
) -> str:
    """A sentence on where missing files are and what finds them; empty where nothing is known.

    Looked at are the table's folder and the one above it, and the folders right below these.
    The end of a path must be there as the table writes it, but for the ending of the modality.

    Args:
        missing: Paths that lead to nothing, as the table writes them.
        folder: The table's own, absolute.
        config: The `data.table` section.
        modality: What the files hold.
    """
    search = _Search(folder, modality)
    samples = missing[:: max(1, len(missing) // _SAMPLES)][:_SAMPLES]
    hits = [hit for written in samples if (hit := search.find(written)) is not None]
    if not hits:
        return ""
    remedy = Counter(remedy for remedy, _ in hits).most_common(1)[0][0]
    file = next(file for other, file in hits if other == remedy)
    shown = readable(file)
    if remedy is None:
        return printable(
            f"{shown} exists, whose name differs. Write the paths as the files are named."
        )
    found = _count_found(missing, folder, config, remedy)
    many = f"the first {KEPT_MISSING:,}" if len(missing) == KEPT_MISSING else f"{len(missing):,}"
    return printable(
        f"{shown} exists: {remedy.describe(config)} (finds {found:,} of {many} missing "
        f"{modality.nouns})."
    )


def _quote(value: str) -> str:
    """A value that the shell, and YAML behind it, read as this text."""
    try:
        is_text = parse_yaml(value, "a hint") == value
    except ConfigError:
        is_text = False
    return shlex.quote(value if is_text else json.dumps(value, ensure_ascii=False))


def _count_found(missing: Sequence[str], folder: Path, config: TableConfig, remedy: _Remedy) -> int:
    """How many of the missing files the settings find."""
    try:
        paths = TablePaths(folder, config.model_copy(update=remedy._asdict()))
    except DataError:
        return 0
    return sum(paths.find(written).problem is None for written in missing)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


class _Search:
    """Looks for the end of a path in folders near a table, each of which is listed once."""

    def __init__(self, folder: Path, modality: Modality) -> None:
        self._folder = folder
        self._modality = modality
        self._left = _ENTRIES
        self._names: dict[str, frozenset[str]] = {}
        self._stems: dict[str, dict[str, str]] = {}
        self._starts = ["", *self._list_folders("."), "..", *self._list_folders("..")]

    def _list_folders(self, start: str) -> list[str]:
        """Folders right below one, relative to the table's."""
        own = self._folder.name
        try:
            with os.scandir(self._folder / start) as entries:
                names = sorted(
                    entry.name
                    for entry in entries
                    if entry.is_dir() and not entry.name.startswith(".")
                )
        except OSError:
            return []
        names = [name for name in names if start == "." or name != own]
        return [str(PurePosixPath(start, name)) for name in names[:_FOLDERS]]

    def find(self, written: str) -> tuple[_Remedy | None, str] | None:
        """What leads a path to a file, and the file; the longest end of the path first.

        No settings do where the file has another name than the table writes.
        """
        parts = written.replace("\\", "/").split("/")
        for first in range(int(written.startswith("/")), len(parts)):
            for start in self._starts:
                found = self._find_in(str(PurePosixPath(start, *parts[first:-1])), parts[-1])
                if found is None:
                    continue
                name, ending = found
                file = str(PurePosixPath(start, *parts[first:-1], name))
                prefix = written[: len(written) - len("/".join(parts[first:]))]
                if ending == "":
                    return None, file
                return _Remedy(start or None, ending, prefix or None), file
        return None

    def _find_in(self, folder: str, name: str) -> tuple[str, str | None] | None:
        """The file of a folder that a name means, and the ending that the name lacks.

        The ending is None where it lacks none, and empty where nothing can be added to have the
        file's name: another case of letters, another ending.
        """
        self._list(folder)
        if name in self._names[folder]:
            return name, None
        stems = self._stems[folder]
        for stem in (name, _stem(name)):
            file = stems.get(stem.casefold())
            if file is not None:
                return file, file[len(name) :] if file.startswith(f"{name}.") else ""
        return None

    def _list(self, folder: str) -> None:
        """Remember the examples of a folder, while the search may still look at files."""
        if folder in self._names:
            return
        names = list(self._scan(folder))
        self._names[folder] = frozenset(names)
        self._stems[folder] = {_stem(name).casefold(): name for name in names}

    def _scan(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(self._folder / folder) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        return
                    if self._modality.has_ending(entry.name):
                        yield entry.name
        except (OSError, ValueError):
            return
