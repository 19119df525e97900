"""One pass over every file: it is read once and found usable as it is, as converted, or not."""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kft.config.schema import DataConfig
from kft.data.paths import describe_failure
from kft.examples import Examples, Progress, Quarantined
from kft.modalities.image.conversion import FindFolder, cached_pictures
from kft.modalities.image.depth import KnownDepth
from kft.modalities.image.file_check import UnusableError, look_at, refuse_stranger
from kft.modalities.image.inspection import Checked, Inspection
from kft.modalities.image.thumbnails import Measures
from kft.printing import readable
from kft.tasks import Task

# Files of a thread's turn: enough that handing them over costs next to nothing.
_PIECE = 16
# More than a picture of so many pixels needs, in 16 bits with opacity and without compression.
_BYTES_PER_PIXEL = 9
_SPARE_BYTES = 50_000_000
_START_BYTES = 4096
Outcome = TypeVar("Outcome", bound="Checked | Quarantined")


def check_files(
    examples: Examples,
    config: DataConfig,
    progress: Progress | None = None,
    *,
    decode: bool = True,
    with_likeness: bool = False,
    known_depth: KnownDepth | None = None,
    find_folder: FindFolder = cached_pictures,
) -> tuple[Checked | Quarantined, ...]:
    """What is known of each file, or why it cannot be used, in the order of the examples.

    Each file is read once, in threads (reading, digesting and decoding release
    Python's lock), and is in memory only for so long. A file that the graph
    would not show as it is meant is converted, once.

    Args:
        examples: What to read.
        config: The `data` section, for the background, the depth and the largest size.
        progress: Called with (files done, files in all).
        decode: Decode every file, by the decoder that training and serving
            use. Else only those whose bytes leave a doubt; damage within a
            file is then found by its first real reading.
        with_likeness: Compute the perceptual hash of each picture.
        known_depth: Of the model that is to see the files; None where it is found over them.
        find_folder: Gives the folder for what is converted, by default that of the cache.
    """

    def check(name: str, path: str) -> Checked:
        facts, _ = _check(
            name,
            path,
            config,
            decode=decode,
            with_likeness=with_likeness,
            known_depth=known_depth,
            find_folder=find_folder,
        )
        return Checked(**facts)

    return tuple(_check_all(examples, check, progress))


def inspect_files(
    examples: Examples, config: DataConfig, progress: Progress | None = None
) -> tuple[Inspection | Quarantined, ...]:
    """What each file is and how it looks, or why it cannot be used, in order.

    As `check_files`, and what a thumbnail of each picture says.

    Args:
        examples: What to read.
        config: The `data` section, for the background, the depth and the largest size.
        progress: Called with (files done, files in all).
    """

    def inspect(name: str, path: str) -> Inspection:
        facts, measures = _check(name, path, config, with_likeness=True, with_measures=True)
        assert measures is not None
        return Inspection(**facts, **asdict(measures))

    return tuple(_check_all(examples, inspect, progress))


def _check_all(
    examples: Examples, check: Callable[[str, str], Outcome], progress: Progress | None
) -> Iterator[Outcome | Quarantined]:
    def check_piece(files: Sequence[tuple[str, str]]) -> list[Outcome | Quarantined]:
        outcomes: list[Outcome | Quarantined] = []
        for name, path in files:
            try:
                outcomes.append(check(name, path))
            except UnusableError as reason:
                outcomes.append(Quarantined(readable(name), readable(path), str(reason)))
        return outcomes

    files = list(zip(examples.ids, examples.paths, strict=True))
    pieces = [files[i : i + _PIECE] for i in range(0, len(files), _PIECE)]
    done = 0
    with _quiet_pillow(), ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        for outcomes in pool.map(check_piece, pieces):
            for outcome in outcomes:
                yield outcome
                done += 1
                if progress is not None:
                    progress(done, len(files))


def _check(
    name: str,
    path: str,
    config: DataConfig,
    *,
    decode: bool = False,
    with_likeness: bool,
    with_measures: bool = False,
    known_depth: KnownDepth | None = None,
    find_folder: FindFolder = cached_pictures,
) -> tuple[dict[str, Any], Measures | None]:
    """The fields of `Checked`, and what was measured.

    Raises:
        UnusableError: The file cannot be used.
    """
    if readable(path) != path:
        raise UnusableError("its name is not UTF-8; rename it")
    content, status = _read(path, config.image.max_megapixels)
    digest = hashlib.sha256(content).hexdigest()
    look = look_at(
        content,
        path=path,
        digest=digest,
        settings=config.image,
        find_folder=find_folder,
        decode=decode,
        with_likeness=with_likeness,
        with_measures=with_measures,
        known_depth=known_depth,
    )
    if look.converted is not None:
        path, status = str(look.converted), look.converted.stat()
    header = look.header
    facts = {
        "name": name,
        "path": path,
        "digest": digest,
        "size": status.st_size,
        "changed_ns": status.st_mtime_ns,
        "format": header.format,
        "mode": header.mode,
        "width": header.width,
        "height": header.height,
        "orientation": header.orientation,
        "repaired": look.repaired,
        "noticed": look.noticed,
        "likeness": look.likeness,
        "samples": look.samples,
    }
    return facts, look.measures


def _read(path: str, max_megapixels: float) -> tuple[bytes, os.stat_result]:
    """The content of a file and its state, once it is sure to be a file and no bottomless one."""
    try:
        # A pipe would wait for a writer if it were opened, and a device may do anything.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise UnusableError("a folder, pipe or device, not a file")
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            start = file.read(_START_BYTES)
            refuse_stranger(start)
            if status.st_size > _SPARE_BYTES + _BYTES_PER_PIXEL * max_megapixels * 1e6:
                raise UnusableError(
                    f"{status.st_size / 1e9:.3g} GB; a picture of {max_megapixels:g} megapixels, "
                    "the most that are decoded (data.image.max_megapixels), takes less"
                )
            return start + file.read(), status
    except OSError as error:
        raise UnusableError(describe_failure(path, error)) from None


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Leave limits to `data.image.max_megapixels`, and warnings that name no file aside."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def compute_fingerprint(
    examples: Examples, digests: Sequence[str], task: Task, class_names: Sequence[str]
) -> str:
    """SHA-256 over the sorted lines of id, content digest and target, and over the class names.

    Args:
        examples: All examples of the data set, in any order.
        digests: SHA-256 of each one's file.
        task: What a target is.
        class_names: Name of each class, label or number, by index.
    """
    lines = [
        f"{example_id}\t{digest}\t{np.atleast_1d(target).tolist()!r}\n"
        for example_id, digest, target in zip(examples.ids, digests, examples.targets, strict=True)
    ]
    whole = hashlib.sha256(f"{task.word}\t{tuple(class_names)!r}\n".encode())
    for line in sorted(lines):
        whole.update(line.encode())
    return whole.hexdigest()
