"""One pass over every file: it is digested and looked at before anything is built on it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kft.data.headers import HeaderError, read_header
from kft.data.splits import Examples, TargetKind
from kft.errors import DataError, first_line

# 100 megapixels decode to 300 MB; TensorFlow was seen to take 1.6 GB for 529.
MAX_PIXELS = 100_000_000
# Files of a thread's turn: enough that handing them over costs next to nothing.
_PIECE = 16
Progress = Callable[[int, int], None]


class _UnreadableError(Exception):
    """Why one file cannot be used."""


def check_files(
    examples: Examples, progress: Progress | None = None, *, decode: bool = True
) -> tuple[str, ...]:
    """SHA-256 of each file, after making sure that it can be used.

    Each file is read once, in threads (reading, digesting and decoding release
    Python's lock). Nothing is dropped: one bad file refuses all.

    Args:
        examples: What to read.
        progress: Called with (files done, files in all).
        decode: Decode every file, by the decoder that training and serving
            use. Else only those whose first and last bytes leave a doubt; damage
            within a file is then found by its first real reading.

    Raises:
        DataError: Files that are unreadable, with their reasons.
    """
    problems: list[str] = []
    digests: list[str] = []
    total = len(examples)
    files = zip(examples.ids, examples.paths, _check_all(examples.paths, decode), strict=True)
    for done, (name, path, outcome) in enumerate(files, 1):
        if isinstance(outcome, _UnreadableError):
            # The id too, where the file is a record that was unpacked to the cache.
            where = path if path.endswith(name) else f"{name} ({path})"
            problems.append(f"{where}: {outcome}")
        else:
            digests.append(outcome)
        if progress is not None:
            progress(done, total)
    if problems:
        raise make_unreadable_error(problems, total)
    return tuple(digests)


def make_unreadable_error(problems: Sequence[str], total: int) -> DataError:
    """An error that names the first files that cannot be used, and counts the others.

    Args:
        problems: Of each such file its name and why.
        total: Files in all.
    """
    shown = "\n".join(f"  - {problem}" for problem in problems[:10])
    more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
    return DataError(
        f"{len(problems)} of {total} pictures cannot be read or decoded. Replace or remove them, "
        f"then run again.\n{shown}{more}"
    )


def _check_all(paths: Sequence[str], decode: bool) -> Iterator[str | _UnreadableError]:
    pieces = [paths[i : i + _PIECE] for i in range(0, len(paths), _PIECE)]
    with _own_pixel_limit(), ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        for outcomes in pool.map(lambda piece: [_check(path, decode) for path in piece], pieces):
            yield from outcomes


def _check(path: str, decode: bool) -> str | _UnreadableError:
    try:
        content = Path(path).read_bytes()
        _check_picture(content, decode)
    except _UnreadableError as reason:
        return reason
    except OSError as error:
        return _UnreadableError(error.strerror or str(error))
    return hashlib.sha256(content).hexdigest()


def _check_picture(content: bytes, decode: bool) -> None:
    """Make sure that an encoded picture decodes, looking at its size first."""
    _refuse_what_is_no_picture(content)
    try:
        header = read_header(content)
    except HeaderError as error:
        raise _UnreadableError(str(error)) from None
    if header.width * header.height > MAX_PIXELS:
        raise _UnreadableError(
            f"{header.width} x {header.height} pixels; at most {MAX_PIXELS // 1_000_000} "
            "megapixels are decoded"
        )
    if decode or not header.looks_whole:
        _decode(content)


def _decode(content: bytes) -> None:
    import tensorflow as tf

    try:
        with tf.device("CPU"):
            tf.io.decode_image(content, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        raise _UnreadableError(first_line(error)[:-1]) from None


def _refuse_what_is_no_picture(content: bytes) -> None:
    start = content[:200].lstrip().lower()
    if not content:
        raise _UnreadableError("the file is empty")
    if start.startswith(b"version https://git-lfs"):
        raise _UnreadableError("a Git LFS pointer, not the picture; run `git lfs pull`")
    if start.startswith((b"<!doctype html", b"<html")):
        raise _UnreadableError("an HTML page, not a picture; the download failed")


@contextmanager
def _own_pixel_limit() -> Iterator[None]:
    """Leave the limit to `MAX_PIXELS`: Pillow's is lower, and warns without naming a file."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def compute_fingerprint(
    examples: Examples, digests: Sequence[str], kind: TargetKind, class_names: Sequence[str]
) -> str:
    """SHA-256 over the sorted lines of id, content digest and target, and over the class names.

    Args:
        examples: All examples of the data set, in any order.
        digests: SHA-256 of each one's file.
        kind: What a target is.
        class_names: Name of each class, label or number, by index.
    """
    lines = [
        f"{example_id}\t{digest}\t{np.atleast_1d(target).tolist()!r}\n"
        for example_id, digest, target in zip(examples.ids, digests, examples.targets, strict=True)
    ]
    whole = hashlib.sha256(f"{kind}\t{tuple(class_names)!r}\n".encode())
    for line in sorted(lines):
        whole.update(line.encode())
    return whole.hexdigest()
