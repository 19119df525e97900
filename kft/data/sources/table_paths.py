"""Files of the paths in a table, found with its settings and with other spellings of a name."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kft.config import TableConfig
from kft.data.paths import A_FOLDER, PathFinder
from kft.errors import DataError
from kft.examples import Files
from kft.printing import readable

# Number of missing paths to keep for the search of settings that find them.
KEPT_MISSING = 1_000
_NO_FILE = "there is no such file"


class Place(NamedTuple):
    """Result of a path of the table.

    Attributes:
        id: Name of the example.
        path: Absolute path.
        problem: Reason why it cannot be used; None if it can.
    """

    id: str
    path: str
    problem: str | None


class TablePaths:
    """Lookup of the files that a table names.

    A path without a file is tried again with / in place of \\, and in the other Unicode form:
    Linux compares names as bytes, and macOS writes `é` as two characters.

    Args:
        folder: The table's folder, absolute.
        config: The `data.table` section.
        reads_folders: Tells whether a folder may be an example; None if it may not.

    Attributes:
        missing: First paths without a file, as the table writes them.

    Raises:
        DataError: `data.table.folder` is not a folder.
    """

    def __init__(
        self, folder: Path, config: TableConfig, reads_folders: Callable[[], bool] | None = None
    ) -> None:
        self._reads_folders = reads_folders
        self.missing: list[str] = []
        self._respelled: Counter[str] = Counter()
        self._prefix = (config.remove_prefix or "").replace("\\", "/")
        self._has_prefix = False
        self._ending = config.ending or ""
        self._start = "" if config.folder is None else str(Path(config.folder).expanduser())
        start = folder / self._start
        if not start.is_dir():
            raise DataError(
                f"data.table.folder: {readable(str(start))} is not a folder. Relative paths start "
                f"from the table's folder, {readable(str(folder))}."
            )
        self._finder = PathFinder(folder, (*config.allowed_roots, str(start)))

    def find(self, cells: Sequence[str], number: int) -> Place:
        """Find the file that a table names; its id is its path from the table's folder.

        Args:
            cells: Cell of the column of paths.
            number: Number of the line or row.
        """
        (written,) = cells
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
        # A missing file is reported as missing, even if its path also leads out of the folder.
        if place.problem.startswith(("lies outside", _NO_FILE)):
            return place._replace(problem=_NO_FILE)
        return place

    def _look(self, written: str) -> Place:
        example_id, path = self._finder.locate(written)
        problem = self._finder.find_problem(path)
        if problem == A_FOLDER and self._reads_folders is not None and self._reads_folders():
            problem = None
        return Place(example_id, path, problem)

    def apply_settings(self, written: str) -> str:
        """Remove `remove_prefix` from a path, and add `folder` and `ending`."""
        text = written
        if self._prefix and text.replace("\\", "/").startswith(self._prefix):
            self._has_prefix = True
            text = text[len(self._prefix) :].lstrip("/\\")
        if self._start and not text.startswith(("/", "~/")):
            text = f"{self._start}/{text}"
        return text if text.lower().endswith(self._ending.lower()) else f"{text}{self._ending}"

    @staticmethod
    def _respell(place: Place) -> Iterator[tuple[str, str]]:
        """Try other spellings of a path without a file; each comes with the change it makes."""
        slashed = place.path.replace("\\", "/")
        if slashed != place.path:
            yield slashed, "with \\ in place of /"
        if not place.path.isascii():
            other = find_other_form(slashed)
            if other is not None:
                yield other, "in a Unicode form that differs from the file's name"

    def make_inputs(self, ids: Sequence[str]) -> Files:
        """Make the files of ids that `find` gave."""
        return Files(tuple(map(self._finder.path_of, ids)))

    def describe_respelled(self) -> tuple[str, ...]:
        """Say in sentences how many files were found under another spelling."""
        return tuple(
            f"{number:,} path{'s' * (number != 1)} written {how}; the file was found."
            for how, number in sorted(self._respelled.items())
        )

    def refuse_unused_prefix(self) -> None:
        """Refuse `data.table.remove_prefix` if it has no effect.

        Raises:
            DataError: No path begins with `data.table.remove_prefix`.
        """
        if self._prefix and not self._has_prefix:
            raise DataError(
                f"data.table.remove_prefix: no path of the table begins with {self._prefix!r}. "
                "Write it as the table does, or remove it."
            )


def find_other_form(path: str) -> str | None:
    """Find an existing path that differs from `path` only in the Unicode form of its parts.

    Each part is taken as written if it exists, else composed (NFC) or decomposed (NFD).
    Returns None if no form exists.
    """
    found = ""
    for part in path.strip("/").split("/"):
        forms = dict.fromkeys((part, *(unicodedata.normalize(f, part) for f in ("NFC", "NFD"))))
        name = next((form for form in forms if os.path.lexists(f"{found}/{form}")), None)
        if name is None:
            return None
        found = f"{found}/{name}"
    return found
