"""What a user names -> files: files, folders, patterns such as `photos/**/*.jpg`, lists."""

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
    """The files that were named.

    Attributes:
        files: As they were named, or as they lie below a named folder; in the order of the names,
            and as often as they were named.
        ignored: Reason -> files of folders and patterns that hold no examples.
        quarantined: Places in folders that cannot be looked at.
    """

    files: tuple[str, ...]
    ignored: Mapping[str, int]
    quarantined: tuple[Quarantined, ...]


def find_named_files(
    names: Sequence[str], modality: Modality, lists: Sequence[str] = ()
) -> NamedFiles:
    """The files behind what a user names.

    A name that is there is that file, or all examples below that folder. Any other that has `*`,
    `?` or `[` in it is a pattern, `**` for folders of any depth. A single file need not be there,
    nor be an example: the gate says so of it.

    Args:
        names: Files, folders, patterns; '-' for a list on standard input.
        modality: What they are to hold.
        lists: Text files that name a file or folder on each line; '-' for standard input.

    Raises:
        DataError: A folder or pattern holds no examples, a list names nothing, or a path is remote.
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
    """What was found so far."""

    def __init__(self, modality: Modality) -> None:
        self._modality = modality
        self.files: list[str] = []
        self.ignored: Counter[str] = Counter()
        self.quarantined: list[Quarantined] = []

    def add_list(self, path: str) -> None:
        names = list(_read_list(path))
        if not names:
            raise DataError(f"{_name_of(path)}: names no file; a path on each line is expected.")
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
                    f"{readable(name)}: no file matches this pattern. `*` stands for part of a "
                    "name, `**` for folders of any depth."
                )
            self._add_all(name, matched)
        else:
            self.files.append(name)

    def _add_all(self, name: str, places: Sequence[str]) -> None:
        """The examples that lie at or below places; each once, however many places hold it.

        Raises:
            DataError: There are none.
        """
        found: dict[str, None] = {}
        ignored: Counter[str] = Counter()
        quarantined = []
        folders = [place for place in places if _is_folder(place)]
        for folder in folders:
            # A user who names a folder means what its links lead to, wherever that lies.
            walker = Walker(Path(folder), self._modality, outside=("/",))
            found.update(dict.fromkeys(walker.walk(Path(folder))))
            quarantined += [replace(bad, name=bad.path) for bad in walker.quarantined]
            # `photos/**` matches the folders below too, which were walked with the first.
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
                f"{readable(name)}: holds no {self._modality.nouns}{_describe(ignored)}."
            )
        self.files += found
        self.ignored.update(ignored)
        self.quarantined += dict.fromkeys(quarantined)


def _match(pattern: str) -> set[str]:
    """The places that a pattern names, but those of systems and programs that it does not write."""
    written = set(Path(pattern).parts)
    # Path has no absolute patterns.
    found = {str(Path(place)) for place in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    return {
        place
        for place in found
        if not any(find_hidden(part) for part in set(Path(place).parts) - written)
    }


def _is_folder(path: str) -> bool:
    # Path.is_dir raises for a name that is too long for the disk; the gate says so of it.
    return os.path.isdir(path)  # noqa: PTH112


def _describe(ignored: Mapping[str, int]) -> str:
    counted = ", ".join(f"{count} {readable(reason)}" for reason, count in sorted(ignored.items()))
    return f" ({counted})" if counted else ""


def _name_of(path: str) -> str:
    return "standard input" if path == STANDARD_INPUT else readable(path)


def _read_list(path: str) -> Iterator[str]:
    """The lines of a list, as paths; of names that are not UTF-8 to the byte.

    Raises:
        DataError: It cannot be read, or is no list of paths.
    """
    refuse_remote(path)
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{_name_of(path)}: {describe_failure(path, error)}.") from None
    if b"\0" in content:
        raise DataError(
            f"{_name_of(path)}: is no list of paths, since it holds bytes of zero. Write a path "
            "on each line, in UTF-8."
        )
    for line in os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).split("\n"):
        name = line.removesuffix("\r")
        if name.strip():
            yield name
