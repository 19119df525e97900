"""Records of checked files, which a modality gives to the file check."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kft.examples import Examples, Files, Inputs, Values

FindFolder = Callable[[], Path]
"""Returns the folder for converted copies, and makes it on first use."""


@contextmanager
def temporary_copies() -> Iterator[FindFolder]:
    """Provide a temporary folder for converted copies, which is deleted at the end."""
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
    """Reason why a file cannot be used, without its name."""


@dataclass(frozen=True)
class FileContent:
    """Content and state of a file.

    Attributes:
        name: The example's id.
        path: Path of the file.
        content: All of its bytes.
        digest: SHA-256 of the content.
        size: Size in bytes.
        changed_ns: Time of the last change, in nanoseconds since 1970.
    """

    name: str
    path: str
    content: bytes
    digest: str
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class CheckedTarget:
    """Usable file with the dense target of an example.

    Attributes:
        path: Path to read: the file itself, or a converted copy in the cache.
        digest: SHA-256 of the file itself.
        size: Size in bytes of the file at `path`.
        changed_ns: Time of its last change, in nanoseconds since 1970.
        summary: What `Examples.targets` holds of it.
    """

    path: str
    digest: str
    size: int
    changed_ns: int
    summary: np.ndarray


@dataclass(frozen=True, slots=True)
class Checked:
    """Usable file; each modality adds its own attributes.

    Attributes:
        name: The example's id.
        path: Path to read: the file itself, or a converted copy in the cache.
        digest: SHA-256 of the file itself.
        size: Size in bytes of the file at `path`.
        changed_ns: Time of its last change, in nanoseconds since 1970.
        repaired: Reasons for the conversion; empty if the file is used as it is.
        noticed: Other remarks, such as `ending does not match the content`.
        likeness: Perceptual hash of 64 bits; examples that look the same differ in few bits.
            None if the example is too plain, or if the hash was not requested.
        content: Content to read in place of a file, for an example in memory; else None.
        target: Result of the check of the file with its target; None without such a file.
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
    content: bytes | None = None
    target: CheckedTarget | None = None

    @property
    def whole_digest(self) -> str:
        """Digest of the file and of that with its target."""
        if self.target is None:
            return self.digest
        return hashlib.sha256(f"{self.digest} {self.target.digest}".encode()).hexdigest()


@dataclass(frozen=True)
class TrainedCalibration:
    """Calibration of a trained model.

    Attributes:
        value: Value from its training; None if its data set needed no calibration.
    """

    value: Any


@dataclass(frozen=True)
class CheckOptions:
    """Thoroughness of the file check.

    Attributes:
        decode: Whether to decode every file, with the decoder of training and serving, or only
            files whose bytes look suspicious.
        with_likeness: Whether to compute perceptual hashes.
        with_measures: Whether to compute the measures for the audit.
        trained: Calibration of the model that will see the files; None if there is no model yet.
        find_folder: Returns the folder for converted copies; None for the folder in the cache.
        target_names: Names of the classes of targets in files.
    """

    decode: bool = True
    with_likeness: bool = False
    with_measures: bool = False
    trained: TrainedCalibration | None = None
    find_folder: FindFolder | None = None
    target_names: tuple[str, ...] = ()


def to_examples(checked: Sequence[Checked], targets: np.ndarray) -> Examples:
    """Make examples from checked files, with the path to read and its state; or from values.

    Args:
        checked: Usable files.
        targets: Targets of the files in their order; see `Examples.targets`. Summaries of targets
            in files take their place.
    """
    files = [each.target for each in checked if each.target is not None]
    return Examples(
        ids=tuple(each.name for each in checked),
        inputs=_to_inputs(checked),
        targets=summarise_targets(checked, targets),
        target_files=Files(
            tuple(each.path for each in files),
            tuple((each.size, each.changed_ns) for each in files),
        )
        if files
        else None,
    )


def summarise_targets(checked: Sequence[Checked], targets: np.ndarray) -> np.ndarray:
    """Replace targets by the summaries of their checked files; they pass if they have no files."""
    files = [each.target for each in checked if each.target is not None]
    return np.stack([each.summary for each in files]) if files else targets


def _to_inputs(checked: Sequence[Checked]) -> Inputs:
    contents = tuple(each.content for each in checked if each.content is not None)
    if contents:
        return Values(contents)
    paths = tuple(each.path for each in checked)
    return Files(paths, tuple((each.size, each.changed_ns) for each in checked))
