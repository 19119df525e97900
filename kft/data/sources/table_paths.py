"""Paths as a table writes them -> files, by its settings and in other spellings of a name."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kft.config import TableConfig
from kft.data.paths import PathFinder
from kft.errors import DataError
from kft.printing import readable

# Of so many missing files the paths are kept, to look for what would find them.
KEPT_MISSING = 1_000
_NO_FILE = "there is no such file"


class Place(NamedTuple):
    """Where a path leads.

    Attributes:
        id: Name of the example.
        path: Absolute path.
        problem: Why it cannot be used; None where it can be.
    """

    id: str
    path: str
    problem: str | None


class TablePaths:
    """Finds the files that a table names.

    A path that leads to no file is tried with / for \\, and in the other Unicode form of its
    letters: names are bytes to Linux, and macOS writes `é` as two characters.

    Args:
        folder: The table's own, absolute.
        config: The `data.table` section.

    Attributes:
        missing: The first paths that lead to nothing, as the table writes them.

    Raises:
        DataError: `data.table.folder` is no folder.
    """

    def __init__(self, folder: Path, config: TableConfig) -> None:
        self.missing: list[str] = []
        self._respelled: Counter[str] = Counter()
        self._prefix = (config.remove_prefix or "").replace("\\", "/")
        self._has_prefix = False
        self._ending = config.ending or ""
        self._start = "" if config.folder is None else str(Path(config.folder).expanduser())
        start = folder / self._start
        if not start.is_dir():
            raise DataError(
                f"data.table.folder: {readable(str(start))} is no folder. It starts from the "
                f"table's own, {readable(str(folder))}."
            )
        self._finder = PathFinder(folder, (*config.allowed_roots, str(start)))

    def find(self, written: str) -> Place:
        """The file that a table names, and its id: its path from the table's folder."""
        place = self._look(self.apply_settings(written))
        if place.problem is None or os.path.lexists(place.path):
            return place
        for spelling, how in self._respell(place):
            other = self._look(spelling)
            if other.problem is None:
                self._respelled[how] += 1
                return other
        if len(self.missing) < KEPT_MISSING:
            self.missing.append(written)
        # Of a path that leads nowhere it does not matter that it leads out of the folder.
        if place.problem.startswith(("lies outside", _NO_FILE)):
            return place._replace(problem=_NO_FILE)
        return place

    def _look(self, written: str) -> Place:
        example_id, path = self._finder.locate(written)
        return Place(example_id, path, self._finder.find_problem(path))

    def apply_settings(self, written: str) -> str:
        """A path without `remove_prefix`, from `folder` on, with `ending`."""
        text = written
        if self._prefix and text.replace("\\", "/").startswith(self._prefix):
            self._has_prefix = True
            text = text[len(self._prefix) :].lstrip("/\\")
        if self._start and not text.startswith(("/", "~/")):
            text = f"{self._start}/{text}"
        return text if text.lower().endswith(self._ending.lower()) else f"{text}{self._ending}"

    @staticmethod
    def _respell(place: Place) -> Iterator[tuple[str, str]]:
        """Other spellings of a path that leads nowhere, and what they change."""
        slashed = place.path.replace("\\", "/")
        if slashed != place.path:
            yield slashed, "with \\ for /"
        if not place.path.isascii():
            other = find_other_form(slashed)
            if other is not None:
                yield other, "in another Unicode form than its file's name"

    def path_of(self, example_id: str) -> str:
        """The path of an id that `find` gave."""
        return self._finder.path_of(example_id)

    def describe_respelled(self) -> tuple[str, ...]:
        """Sentences: how many paths were found in another spelling."""
        return tuple(
            f"{number:,} path{'s' * (number != 1)} written {how}; the file was found."
            for how, number in sorted(self._respelled.items())
        )

    def refuse_unused_prefix(self) -> None:
        """Refuse a setting that no path follows.

        Raises:
            DataError: No path begins with `data.table.remove_prefix`.
        """
        if self._prefix and not self._has_prefix:
            raise DataError(
                f"data.table.remove_prefix: no path of the table begins with {self._prefix!r}. "
                "Write it as the table does, or leave it out."
            )


def find_other_form(path: str) -> str | None:
    """An absolute path with parts of it in their other Unicode form, where that leads to a file.

    Each part is taken as it is where it exists, else composed (NFC) or decomposed (NFD).
    """
    found = ""
    for part in path.strip("/").split("/"):
        forms = dict.fromkeys((part, *(unicodedata.normalize(f, part) for f in ("NFC", "NFD"))))
        name = next((form for form in forms if os.path.lexists(f"{found}/{form}")), None)
        if name is None:
            return None
        found = f"{found}/{name}"
    return found
