"""Locks between processes: the operating system lets go of them when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_exclusive(path: Path, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Keep every other process from holding `path`; waits for one that does.

    The file is made for the lock and goes away with it.

    Args:
        path: In a folder that exists.
        on_wait: Called once, where there is something to wait for.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _is_free(descriptor, fcntl.LOCK_EX):
                if on_wait is not None:
                    on_wait()
                    on_wait = None
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The holder before may have removed the file: then another may lock a new one.
            if is_at(descriptor, path):
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
        finally:
            os.close(descriptor)


@contextmanager
def try_exclusive(path: Path, *, make: bool = False) -> Iterator[bool]:
    """Whether this process alone holds the file at `path`; waits for nobody.

    Args:
        path: Of an existing file, else nobody can hold it.
        make: Make the file where it is missing.
    """
    try:
        # For writing too: NFS locks nothing for one process alone that is open for reading.
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o666)
    except OSError:
        yield False
        return
    try:
        yield _is_free(descriptor, fcntl.LOCK_EX) and is_at(descriptor, path)
    finally:
        os.close(descriptor)


def open_shared(path: Path) -> int:
    """A descriptor of the file at `path` that holds it in common with others; to be closed.

    Raises:
        OSError: There is no such file.
    """
    while True:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_free(descriptor: int, kind: int) -> bool:
    """Take the lock if nobody is in the way."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
