"""Search for the missing files of a table, and the settings that would find them."""

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

# The search only gives a hint, so these limits keep it fast on any disk.
_SAMPLES = 20
_FOLDERS = 200
_ENTRIES = 200_000


class _Remedy(NamedTuple):
    """Settings of `data.table` that make a path lead to its file."""

    folder: str | None
    ending: str | None
    remove_prefix: str | None

    def describe(self, config: TableConfig) -> str:
        """Describe the change of a configuration, such as `set data.table.folder=files`."""
        wanted = {f"data.table.{key}": value for key, value in self._asdict().items()}
        new = [f"{key}={_quote(value)}" for key, value in wanted.items() if value is not None]
        old = [
            key
            for key, value in wanted.items()
            if value is None and getattr(config, key.removeprefix("data.table.")) is not None
        ]
        changes = [f"set {' '.join(new)}"] * bool(new) + [f"remove {', '.join(old)}"] * bool(old)
        return " and ".join(changes)


def describe_remedy(
    missing: Sequence[str], folder: Path, config: TableConfig, modality: Modality
) -> str:
    """Say where the missing files are and which settings find them; empty if none was found.

    Searches the table's folder, its parent, and the folders directly below these two. The last
    parts of a path must match as the table writes them, except for the file name's ending.

    Args:
        missing: Paths without a file, as the table writes them.
        folder: The table's folder, absolute.
        config: The `data.table` section.
        modality: Modality of the files.
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
            f"{shown} exists, but its name differs. Write the paths as the files are named."
        )
    found = _count_found(missing, folder, config, remedy)
    many = f"the first {KEPT_MISSING:,}" if len(missing) == KEPT_MISSING else f"{len(missing):,}"
    return printable(
        f"{shown} exists: {remedy.describe(config)} (finds {found:,} of {many} missing "
        f"{modality.nouns})."
    )


def _quote(value: str) -> str:
    """Quote a value, so that the shell and then YAML read it as this text."""
    try:
        is_text = parse_yaml(value, "a hint") == value
    except ConfigError:
        is_text = False
    return shlex.quote(value if is_text else json.dumps(value, ensure_ascii=False))


def _count_found(missing: Sequence[str], folder: Path, config: TableConfig, remedy: _Remedy) -> int:
    """Count the missing files that the settings find."""
    try:
        paths = TablePaths(folder, config.model_copy(update=remedy._asdict()))
    except DataError:
        return 0
    return sum(paths.find((written,), 0).problem is None for written in missing)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


class _Search:
    """Search for the last parts of a path in folders near a table; lists each folder once."""

    def __init__(self, folder: Path, modality: Modality) -> None:
        self._folder = folder
        self._modality = modality
        self._left = _ENTRIES
        self._names: dict[str, frozenset[str]] = {}
        self._stems: dict[str, dict[str, str]] = {}
        self._starts = ["", *self._list_folders("."), "..", *self._list_folders("..")]

    def _list_folders(self, start: str) -> list[str]:
        """List the folders directly below `start`, relative to the table's folder."""
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
        """Find the settings that make a path lead to a file, and the file.

        The longest matching end of the path wins. The settings are None if the file's name
        differs from the name in the table.
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
        """Find the file of a folder that a name means, and the ending that the name lacks.

        The ending is None if the name is complete, and empty if no ending added to the name
        gives the file's name, which differs in case or has another ending.
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
        """Remember the examples of a folder, up to the limit of files for the search."""
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
