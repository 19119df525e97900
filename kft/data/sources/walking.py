"""Walk through a data folder that finds possible examples and counts every other file."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path, PurePath

from kft.data.paths import PathFinder
from kft.errors import DataError
from kft.examples import Quarantined
from kft.modalities import Modality
from kft.printing import readable
from kft.runs.own_folders import holds_output_folder, is_own_folder

OWN = "in kft's own folders (runs, exports, caches)"
# Names that systems and programs leave in folders, in lower case -> in their usual spelling.
_SYSTEM_NAMES = {
    name.lower(): name
    for name in (
        "__MACOSX",
        ".DS_Store",
        ".ipynb_checkpoints",
        "Thumbs.db",
        "desktop.ini",
        "@eaDir",
        "lost+found",
    )
}
_HIDDEN = "hidden"
# Length of the longest file signature of a modality.
_START_BYTES = 16
_ADVICE = "the data folder. Copy it there, or add its target folder to data.folders.allowed_roots"


def find_hidden(name: str) -> str | None:
    """Return the reason why a file's name marks it as not data; None if it may be data."""
    return _SYSTEM_NAMES.get(name.lower()) or (_HIDDEN if name.startswith(".") else None)


class Walker:
    """Walk through folders that follows links and counts every file.

    Args:
        root: Data folder.
        modality: Modality of its files.
        outside: Folders outside it that links may lead into.
        output_folders: Folders that kft will write to; they need not exist.

    Attributes:
        ignored: Reason -> number of files that are not examples.
        own: Folders that kft wrote, which are left out.
        quarantined: Files and folders that cannot be inspected.
    """

    def __init__(
        self,
        root: Path,
        modality: Modality,
        outside: Sequence[str] = (),
        output_folders: Sequence[str] = (),
    ) -> None:
        self.modality = modality
        self._root = str(root)
        self._output_folders = output_folders
        self._finder = PathFinder(root, outside, advice=_ADVICE)
        # Folders that links led to. A link enters each only once, so cycles end.
        self._followed = {os.path.realpath(root)}
        self.ignored: Counter[str] = Counter()
        self.own: list[str] = []
        self.quarantined: list[Quarantined] = []

    def walk(self, folder: Path) -> Iterator[str]:
        """Find the paths below a folder that may be examples; it may be one itself."""
        entries = self._list(str(folder))
        if self.modality.joins([each.name for each in entries if not find_hidden(each.name)]):
            yield str(folder)
            return
        for entry in entries:
            hidden = find_hidden(entry.name)
            if hidden is not None:
                self.ignored[hidden] += count_files(entry)
            elif entry.is_symlink():
                yield from self._follow(entry)
            elif entry.is_dir():
                yield from self._walk_folder(entry)
            elif not self.may_hold(entry):
                self.ignored[describe_ending(entry.name, self.modality)] += 1
            elif entry.is_file():
                yield entry.path
            else:
                self._quarantine(entry.path, "a pipe or device, not a file")

    def _walk_folder(self, entry: os.DirEntry[str]) -> Iterator[str]:
        if is_own_folder(entry.path):
            self.own.append(entry.path)
            self.ignored[OWN] += count_files(entry)
        else:
            yield from self.walk(Path(entry.path))

    def is_output(self, folder: str) -> bool:
        """Whether kft wrote or will write into a folder that has been walked already."""
        prefix = f"{folder}/"
        return any(own.startswith(prefix) for own in self.own) or holds_output_folder(
            folder, self._output_folders
        )

    def _list(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            return sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self._quarantine(folder, f"a folder that cannot be read ({error.strerror})")
            return []

    def _follow(self, link: os.DirEntry[str]) -> Iterator[str]:
        if Path(link.path).is_dir():
            yield from self._enter(link)
            return
        ending = PurePath(link.name).suffix
        if ending and not self.may_hold(link):
            self.ignored[describe_ending(link.name, self.modality)] += 1
            return
        problem = self._finder.find_problem(link.path)
        if problem is not None:
            self._quarantine(link.path, problem)
        elif self.may_hold(link):
            yield link.path
        else:
            self.ignored[describe_ending(link.name, self.modality)] += 1

    def refuse_outside(self, folder: Path) -> None:
        """Refuse a folder of the layout that lies outside the data folder.

        Raises:
            DataError: The folder is a link that leads out of the data folder.
        """
        real = os.path.realpath(folder)
        if not self._finder.is_allowed(real):
            raise DataError(f"{folder}: {self._finder.describe_outside(str(folder), real)}.")

    def _enter(self, link: os.DirEntry[str]) -> Iterator[str]:
        real = os.path.realpath(link.path)
        if not self._finder.is_allowed(real):
            self._quarantine(link.path, self._finder.describe_outside(link.path, real))
        elif real in self._followed or Path(link.path).parent.resolve().is_relative_to(real):
            self.ignored["link to a folder that is read already"] += 1
        else:
            self._followed.add(real)
            yield from self._walk_folder(link)

    def may_hold(self, path: str | os.PathLike[str]) -> bool:
        """See `may_hold_example`."""
        return may_hold_example(path, self.modality)

    def _quarantine(self, path: str, reason: str) -> None:
        name = os.path.relpath(path, self._root)
        self.quarantined.append(Quarantined(readable(name), readable(path), reason))


def may_hold_example(path: str | os.PathLike[str], modality: Modality) -> bool:
    """Whether a file may be an example, by its ending, or its first bytes if it has no ending."""
    ending = PurePath(path).suffix.lower()
    if ending:
        return ending in modality.endings
    # Opening a pipe would wait for a writer.
    if not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as file:
            return modality.find_ending(file.read(_START_BYTES)) is not None
    except OSError:
        return False


def count_files(entry: os.DirEntry[str]) -> int:
    """Count the files below a folder without following links; 1 for a file."""
    if not entry.is_dir(follow_symlinks=False):
        return 1
    return sum(len(files) for _, _, files in os.walk(entry.path))


def describe_ending(name: str, modality: Modality | None = None) -> str:
    """Describe the ending of an ignored file, such as 'ending .txt'."""
    return f"ending {find_ending(name, modality) or '(none)'}"


def find_ending(name: str, modality: Modality | None = None) -> str:
    """Return the ending in lower case, such as '.txt'; '' if there is none.

    Downloads may keep the end of their URL: `1.jpg?w=300` gives '.jpg?…'.
    """
    address = None if modality is None else _make_address(modality.endings).search(name)
    if address is not None:
        return f"{address['ending'].lower()}{name[address.end('ending')]}…"
    ending = PurePath(name).suffix.lower()
    return ending if ending.isprintable() else ascii(ending)[1:-1]


@cache
def _make_address(endings: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"(?P<ending>{'|'.join(map(re.escape, endings))})[?&#@!:%;=].*",
        re.IGNORECASE | re.DOTALL,
    )
