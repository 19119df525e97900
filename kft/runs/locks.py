"""Locks between processes, which the operating system releases when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_exclusive(path: Path, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path`, waiting for any other holder.

    The file is created for the lock and removed with it.

    Args:
        path: File in an existing folder.
        on_wait: Called once if another process holds the lock.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not _is_free(descriptor, fcntl.LOCK_EX):
                if on_wait is not None:
                    on_wait()
                    on_wait = None
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The previous holder may have removed this file: another process may lock a new one.
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
    """Try to hold an exclusive lock on `path` without waiting; yield whether it is held.

    Args:
        path: File to lock; a missing file cannot be locked.
        make: Create the file if it is missing.
    """
    try:
        # Opened for writing: NFS grants exclusive locks on writable descriptors only.
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o666)
    except OSError:
        yield False
        return
    try:
        yield _is_free(descriptor, fcntl.LOCK_EX) and is_at(descriptor, path)
    finally:
        os.close(descriptor)


def open_shared(path: Path) -> int:
    """Open the file at `path` under a shared lock; closing the descriptor releases it.

    Raises:
        OSError: The file does not exist.
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
    """Tell whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_free(descriptor: int, kind: int) -> bool:
    """Take the lock if it is free; tell whether it was."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
