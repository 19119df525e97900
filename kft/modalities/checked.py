"""What is known of a file once it was read: the records that a modality and the gate exchange."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kft.examples import Examples

FindFolder = Callable[[], Path]
"""Gives the folder for converted copies, which is made when there is one to be kept."""


@contextmanager
def temporary_copies() -> Iterator[FindFolder]:
    """A folder for converted copies that are read once; it goes away at the end."""
    made: list[Path] = []
    alone = threading.Lock()
    with ExitStack() as stack:

        def find_folder() -> Path:
            with alone:
                if not made:
                    folder = stack.enter_context(TemporaryDirectory(prefix="kft-copies-"))
                    made.append(Path(folder))
                return made[0]

        yield find_folder


class UnusableError(Exception):
    """Why one file cannot be used, in words that do not name it."""


@dataclass(frozen=True)
class FileContent:
    """A file as it was read.

    Attributes:
        name: The example's id.
        path: Of the file.
        content: All of its bytes.
        digest: SHA-256 of the content.
        size: Bytes of the file.
        changed_ns: When it was last changed, in nanoseconds since 1970.
    """

    name: str
    path: str
    content: bytes
    digest: str
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that can be used; a modality adds what it knows of it.

    Attributes:
        name: The example's id.
        path: What is to be read: the file itself, or a converted copy in the cache.
        digest: SHA-256 of the file itself.
        size: Bytes of what is to be read.
        changed_ns: When it was last changed, in nanoseconds since 1970.
        repaired: Why it is used as converted; empty where it is used as it is.
        noticed: What else is worth a word: `ending does not match the content` …
        likeness: Perceptual hash of 64 bits: examples that look the same differ in few of them.
            None for one that is too plain to be told by it, or where none was asked for.
    """

    name: str
    path: str
    digest: str
    size: int
    changed_ns: int
    _: KW_ONLY
    repaired: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    likeness: int | None = None


@dataclass(frozen=True)
class TrainedCalibration:
    """What a trained model knows of calibration.

    Attributes:
        value: As it was trained; None where its data set needed none.
    """

    value: Any


@dataclass(frozen=True)
class CheckOptions:
    """How closely files are looked at.

    Attributes:
        decode: Decode every file, by the decoder that training and serving use. Else only those
            whose bytes leave a doubt.
        with_likeness: Compute the perceptual hash of each.
        with_measures: Measure what the audit judges by.
        trained: What the model that is to see the files knows; None where there is none yet.
        find_folder: Gives the folder for converted copies; None for that of the cache.
    """

    decode: bool = True
    with_likeness: bool = False
    with_measures: bool = False
    trained: TrainedCalibration | None = None
    find_folder: FindFolder | None = None


def to_examples(checked: Sequence[Checked], targets: np.ndarray) -> Examples:
    """Examples of what was checked: what is to be read for each, and its state.

    Args:
        checked: Those that can be used.
        targets: As `Examples.targets`, in their order.
    """
    return Examples(
        ids=tuple(each.name for each in checked),
        paths=tuple(each.path for each in checked),
        targets=targets,
        stamps=tuple((each.size, each.changed_ns) for each in checked),
    )
