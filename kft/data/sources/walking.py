"""Every file below a folder: an example to be looked at, one that cannot be, or none."""

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
# What systems and programs leave in folders, in lower case -> as it is usually written.
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
# Bytes that the longest signature of a modality has.
_START_BYTES = 16
_ADVICE = (
    "the data folder. Copy it there, or name the folder that it leads to in "
    "data.folders.allowed_roots"
)


def find_hidden(name: str) -> str | None:
    """Why a name belongs to the system and not to the data; None where it does not."""
    return _SYSTEM_NAMES.get(name.lower()) or (_HIDDEN if name.startswith(".") else None)


class Walker:
    """Goes through folders, by way of links too, and accounts for every file.

    Args:
        root: The data folder.
        modality: What its files may hold.
        outside: Folders beside it that links may lead into.
        output_folders: Folders that kft is to write to, there or not.

    Attributes:
        ignored: Reason -> files that hold no examples, or are not meant as such.
        own: Folders that kft filled, which are left out.
        quarantined: What cannot even be looked at.
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
        # Folders that links led to. Each is entered once by a link, so that circles end.
        self._followed = {os.path.realpath(root)}
        self.ignored: Counter[str] = Counter()
        self.own: list[str] = []
        self.quarantined: list[Quarantined] = []

    def walk(self, folder: Path) -> Iterator[str]:
        """Paths of the files below a folder that are to be looked at as examples."""
        for entry in self._list(str(folder)):
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
        """Whether kft wrote into a folder, or is to; of one that is walked already."""
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
        """Make sure that a folder which the layout asks for lies in the data folder.

        Raises:
            DataError: It is a link that leads out of it.
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
    """Whether a file is to be looked at: by its ending, and by its first bytes if it has none."""
    ending = PurePath(path).suffix.lower()
    if ending:
        return ending in modality.endings
    # A pipe would wait for a writer if it were opened.
    if not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as file:
            return modality.find_ending(file.read(_START_BYTES)) is not None
    except OSError:
        return False


def count_files(entry: os.DirEntry[str]) -> int:
    """Files below a folder, links not followed; 1 for a file."""
    if not entry.is_dir(follow_symlinks=False):
        return 1
    return sum(len(files) for _, _, files in os.walk(entry.path))


def describe_ending(name: str, modality: Modality | None = None) -> str:
    """As 'ending .txt', for what is left aside for it."""
    return f"ending {find_ending(name, modality) or '(none)'}"


def find_ending(name: str, modality: Modality | None = None) -> str:
    """As '.txt', in lower case; '' where there is none, and '.jpg?…' for `1.jpg?w=300`.

    Downloaders leave such names, which keep the end of the address.
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
