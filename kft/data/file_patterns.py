"""Files that a user names by file, folder, pattern such as `photos/**/*.jpg`, or list."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kft.data.paths import describe_failure, refuse_remote
from kft.data.sources.walking import Walker, describe_ending, find_hidden, may_hold_example
from kft.errors import DataError
from kft.examples import Quarantined
from kft.modalities import Modality
from kft.printing import readable

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class NamedFiles:
    """Files that a user named.

    Attributes:
        files: Paths as named, or below a named folder; in the order of the names and as often
            as named.
        ignored: Reason -> number of files of folders and patterns that are not examples.
        quarantined: Paths in folders that cannot be inspected.
    """

    files: tuple[str, ...]
    ignored: Mapping[str, int]
    quarantined: tuple[Quarantined, ...]


def find_named_files(
    names: Sequence[str], modality: Modality, lists: Sequence[str] = ()
) -> NamedFiles:
    """Find the files that a user names.

    An existing name means that file, or all examples below that folder. Any other name with
    `*`, `?` or `[` is a pattern, in which `**` matches folders of any depth. A single file need
    not exist or be an example: the file check refuses it later.

    Args:
        names: Files, folders and patterns; '-' for a list on standard input.
        modality: Modality of the files.
        lists: Text files with one file or folder per line; '-' for standard input.

    Raises:
        DataError: A folder or pattern has no examples, a list is empty, or a path is remote.
    """
    found = _Found(modality)
    for name in names:
        if name == STANDARD_INPUT:
            found.add_list(name)
        else:
            found.add(name, may_be_pattern=True)
    for path in lists:
        found.add_list(path)
    return NamedFiles(tuple(found.files), found.ignored, tuple(found.quarantined))


class _Found:
    """Files found so far."""

    def __init__(self, modality: Modality) -> None:
        self._modality = modality
        self.files: list[str] = []
        self.ignored: Counter[str] = Counter()
        self.quarantined: list[Quarantined] = []

    def add_list(self, path: str) -> None:
        names = list(_read_list(path))
        if not names:
            raise DataError(f"{_name_of(path)}: the list is empty. Expected one path per line.")
        for name in names:
            self.add(name, may_be_pattern=False)

    def add(self, name: str, *, may_be_pattern: bool) -> None:
        refuse_remote(name)
        if not os.path.lexists(name) and name.startswith("~/"):
            name = f"{Path.home()}{name[1:]}"
        if _is_folder(name):
            self._add_all(name, [name])
        elif may_be_pattern and glob.has_magic(name) and not os.path.lexists(name):
            matched = sorted(_match(name))
            if not matched:
                raise DataError(
                    f"{readable(name)}: no file matches this pattern. `*` matches part of a "
                    "name, and `**` matches folders of any depth."
                )
            self._add_all(name, matched)
        else:
            self.files.append(name)

    def _add_all(self, name: str, places: Sequence[str]) -> None:
        """Add the examples at or below places, each once.

        Raises:
            DataError: There are none.
        """
        found: dict[str, None] = {}
        ignored: Counter[str] = Counter()
        quarantined = []
        folders = [place for place in places if _is_folder(place)]
        for folder in folders:
            # Links in a folder that the user names may lead anywhere.
            walker = Walker(Path(folder), self._modality, outside=("/",))
            found.update(dict.fromkeys(walker.walk(Path(folder))))
            quarantined += [replace(bad, name=bad.path) for bad in walker.quarantined]
            # `photos/**` also matches subfolders, which were walked with their parent.
            if not any(Path(other) in Path(folder).parents for other in folders):
                ignored.update(walker.ignored)
        for place in places:
            if place in folders or place in found:
                continue
            if may_hold_example(place, self._modality):
                found[place] = None
            elif not any(Path(folder) in Path(place).parents for folder in folders):
                ignored[describe_ending(place, self._modality)] += 1
        if not found and not quarantined:
            raise DataError(
                f"{readable(name)}: there are no {self._modality.nouns}{_describe(ignored)}."
            )
        self.files += found
        self.ignored.update(ignored)
        self.quarantined += dict.fromkeys(quarantined)


def _match(pattern: str) -> set[str]:
    """Match a pattern, without system files and folders that it does not name."""
    written = set(Path(pattern).parts)
    # Path.glob does not accept absolute patterns.
    found = {str(Path(place)) for place in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    return {
        place
        for place in found
        if not any(find_hidden(part) for part in set(Path(place).parts) - written)
    }


def _is_folder(path: str) -> bool:
    # Path.is_dir raises for a name that is too long; the file check refuses it later.
    return os.path.isdir(path)  # noqa: PTH112


def _describe(ignored: Mapping[str, int]) -> str:
    counted = ", ".join(f"{count} {readable(reason)}" for reason, count in sorted(ignored.items()))
    return f" ({counted})" if counted else ""


def _name_of(path: str) -> str:
    return "standard input" if path == STANDARD_INPUT else readable(path)


def _read_list(path: str) -> Iterator[str]:
    """Read the lines of a list as paths; keeps the bytes of names that are not UTF-8.

    Raises:
        DataError: The list cannot be read, or is not a list of paths.
    """
    refuse_remote(path)
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{_name_of(path)}: {describe_failure(path, error)}.") from None
    if b"\0" in content:
        raise DataError(
            f"{_name_of(path)}: not a list of paths, because it holds zero bytes. Write one path "
            "per line, in UTF-8."
        )
    for line in os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).split("\n"):
        name = line.removesuffix("\r")
        if name.strip():
            yield name
