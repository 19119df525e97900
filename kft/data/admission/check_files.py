"""Check of every file in one pass: each is usable as it is, usable once converted, or refused."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import DataConfig
from kft.data.paths import describe_failure
from kft.examples import Examples, Files, Progress, Quarantined
from kft.modalities import Modality, choose_modality
from kft.modalities.checked import Checked, CheckOptions, FileContent, UnusableError
from kft.printing import readable
from kft.tasks import Task

# Number of files that a thread takes at a time: enough to make the hand-over cheap.
_PIECE = 16
# This many bytes suffice to recognise a file that need not be read whole.
_START_BYTES = 4096
_OPTIONS = CheckOptions()


def check_files(
    examples: Examples,
    config: DataConfig,
    progress: Progress | None = None,
    *,
    options: CheckOptions = _OPTIONS,
) -> tuple[Checked | Quarantined, ...]:
    """Check each file: its inspection or its refusal, in the order of the examples.

    Threads read each file once (reading, hashing and decoding release Python's
    lock), and keep it in memory only during its check. A file that the decoder in
    the graph would show wrongly is converted, once.

    Args:
        examples: Examples to check.
        config: The `data` section.
        progress: Called with (files done, files in all).
        options: Thoroughness of the check.
    """
    return tuple(_check_all(examples, config, progress, options))


def _check_all(
    examples: Examples, config: DataConfig, progress: Progress | None, options: CheckOptions
) -> Iterator[Checked | Quarantined]:
    modality = choose_modality(config)
    settings = modality.settings_of(config)

    def check_piece(examples: Examples) -> list[Checked | Quarantined]:
        outcomes: list[Checked | Quarantined] = []
        targets = examples.target_files
        for index, (name, path, read) in enumerate(_list_reads(examples, modality, settings)):
            try:
                checked = _check_one(read(), modality, settings, options)
                if targets is not None:
                    file = _read_target(name, targets.paths[index], modality, settings)
                    target = modality.check_target(file, checked, config.masks, options)
                    checked = replace(checked, target=target)
                outcomes.append(checked)
            except UnusableError as reason:
                outcomes.append(Quarantined(readable(name), readable(path), str(reason)))
        return outcomes

    count = len(examples)
    pieces = (
        examples.take(range(start, min(start + _PIECE, count))) for start in range(0, count, _PIECE)
    )
    done = 0
    with modality.checking(), ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        for outcomes in pool.map(check_piece, pieces):
            for outcome in outcomes:
                yield outcome
                done += 1
                if progress is not None:
                    progress(done, count)


def _list_reads(
    examples: Examples, modality: Modality, settings: Any
) -> Iterator[tuple[str, str, Callable[[], FileContent]]]:
    """List the name and path of each example with a function to read it; values have no path."""
    inputs = examples.inputs
    if isinstance(inputs, Files):
        for name, path in zip(examples.ids, inputs.paths, strict=True):
            yield name, path, partial(_read, name, path, modality, settings)
    else:
        for name, content in zip(examples.ids, inputs.contents, strict=True):
            yield name, name, partial(_take, name, content, modality, settings)


def _check_one(
    file: FileContent, modality: Modality, settings: Any, options: CheckOptions
) -> Checked:
    checked = modality.check(file, settings, options)
    if file.path or checked.content is not None:
        return checked
    return replace(checked, content=file.content)


def _take(name: str, content: bytes, modality: Modality, settings: Any) -> FileContent:
    """Take a value as if it had been read from a file.

    Raises:
        UnusableError: The value cannot be used.
    """
    modality.refuse_early(content[:_START_BYTES], len(content), settings)
    digest = hashlib.sha256(content).hexdigest()
    return FileContent(name, "", content, digest, len(content), 0)


def _read_target(name: str, path: str, modality: Modality, settings: Any) -> FileContent:
    try:
        return _read(name, path, modality, settings)
    except UnusableError as reason:
        raise UnusableError(f"its target {readable(path)}: {reason}") from None


def _read(name: str, path: str, modality: Modality, settings: Any) -> FileContent:
    """Read a file and its state, after making sure that it is a regular file.

    Raises:
        UnusableError: The file cannot be used.
    """
    if readable(path) != path:
        raise UnusableError("its name is not UTF-8; rename it")
    try:
        # Opening a pipe would wait for a writer, and a device may have no end.
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            content = modality.read_joined(path, settings)
            digest = hashlib.sha256(content).hexdigest()
            return FileContent(name, path, content, digest, len(content), status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableError("a folder, pipe or device, not a file")
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            start = file.read(_START_BYTES)
            modality.refuse_early(start, status.st_size, settings)
            content = start + file.read()
    except OSError as error:
        raise UnusableError(describe_failure(path, error)) from None
    digest = hashlib.sha256(content).hexdigest()
    return FileContent(name, path, content, digest, status.st_size, status.st_mtime_ns)


def compute_fingerprint(
    examples: Examples, digests: Sequence[str], task: Task, class_names: Sequence[str]
) -> str:
    """Compute SHA-256 over the sorted lines of id, digest and target, and the class names.

    Args:
        examples: All examples of the data set, in any order.
        digests: SHA-256 of each example's file.
        task: Task of the targets.
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
