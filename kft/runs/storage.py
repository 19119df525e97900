"""Diagnosis of unwritable folders and full disks: which one, why, and what to do."""

from __future__ import annotations

import errno
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kft.errors import LostDiskError, StorageError
from kft.runs.caches import EVICTABLE, cache_root
from kft.runs.clearing import find_clearable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOST = (errno.EIO, errno.ESTALE)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
# Errors of writing into an open file, which come without the file's name.
_OF_DISKS = (*_FULL, *_LOST, errno.EROFS)
# Errors caused by the environment rather than a program, and how messages describe them.
_REASONS = {
    errno.ENOSPC: "no space is left on its disk",
    errno.EDQUOT: "the quota of its disk is used up",
    errno.EFBIG: "it would be larger than the system allows",
    errno.EROFS: "its file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "the system does not permit it",
    errno.ENOTDIR: "a file is where a folder should be",
    errno.EIO: "its disk fails",
    errno.ESTALE: "its network disk is gone",
}
# TensorFlow turns the error number into text: "PATH; TEXT OF THE SYSTEM".
_TENSORFLOW = re.compile(
    rf"(?P<path>/[^;{{}}]*); (?P<words>{'|'.join(re.escape(os.strerror(n)) for n in _REASONS)})"
)
_PARTIAL = re.compile(r"\..*\.partial(\..*)?")
# Freeing less than one megabyte would not help.
_WORTH_CLEARING = 1_000_000
# Rooms of the cache that any run may write into.
_WRITTEN_ROOMS = (*EVICTABLE, "converted")


def check_cache() -> None:
    """Refuse an unwritable cache folder before any work whose results it would keep.

    Raises:
        StorageError: The cache, or one of its rooms, is not writable.
    """
    root = cache_root()
    for folder in (root, *(root / room for room in _WRITTEN_ROOMS if (root / room).exists())):
        obstacle = find_obstacle(folder)
        if obstacle is not None:
            home = "" if "HOME" in os.environ or _is_given() else " (HOME is not set)"
            raise StorageError(
                f"{folder}: the cache folder is not writable: {obstacle}{home}. Set KFT_CACHE_DIR "
                "to a writable folder; it keeps stored features, decoded examples and converted "
                "copies."
            )


def check_folder(folder: Path, setting: str) -> None:
    """Refuse an unwritable output folder before any work is done for it.

    Args:
        folder: The folder, which may not exist yet.
        setting: Setting of the pipeline or option of the command line that gives it.

    Raises:
        StorageError: The folder is not writable.
    """
    obstacle = find_obstacle(folder)
    if obstacle is not None:
        raise StorageError(
            f"{setting}: {folder} is not writable: {obstacle}. Choose a writable folder, or make "
            "this one writable."
        )


def _is_given() -> bool:
    return any(os.environ.get(name) for name in ("KFT_CACHE_DIR", "XDG_CACHE_HOME"))


def find_obstacle(folder: Path) -> str | None:
    """Find the reason why a folder, which may not exist yet, is not writable; else None.

    A full disk is not an obstacle, since space may still be freed.
    """
    folder = folder.absolute()
    # `Path.exists` would raise where a parent folder may not be searched.
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    which = "" if existing == folder else f" ({existing})"
    try:
        if not existing.is_dir():
            return f"{existing} is not a folder"
        # The file has no name where the system allows it, and vanishes when closed.
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        if error.errno in _FULL:
            return None
        return f"{describe_reason(error, existing)}{which}"


def describe_reason(error: OSError, path: Path) -> str:
    """Describe why `path` could not be written or read."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    if error.errno in _FULL:
        mount = _find_mount(path)
        disk = shutil.disk_usage(mount)
        # The partial file has been removed by now, so its space counts as free.
        room = f"{disk.free / 1e6:,.1f} of {disk.total / 1e6:,.1f} MB are free without it"
        return f"{reason} ({mount}: {room})"
    if error.errno in _FORBIDDEN:
        return f"{reason}{_describe_owner(path)}"
    return reason


def _describe_owner(path: Path) -> str:
    try:
        owner, own = _existing(path).stat().st_uid, os.geteuid()
    except OSError:
        return ""
    return "" if owner == own else f": it belongs to user {_name(owner)}, you are {_name(own)}"


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(part for part in (path, *path.parents) if os.access(part, os.F_OK))


def _find_mount(path: Path) -> Path:
    """Find the mount point of the disk that holds a path, which may not exist."""
    existing = _existing(path).resolve()
    return next(part for part in (existing, *existing.parents) if part.is_mount())


def find_storage_failure(error: BaseException) -> StorageError | None:
    """Find the storage failure behind an error, if a disk or folder caused it.

    The error's causes are searched too, and the errors in which TensorFlow wraps the system's.
    """
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        failure = _translate(at)
        if failure is not None:
            return failure
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return None


def _translate(error: BaseException) -> StorageError | None:
    if isinstance(error, OSError):
        # Without a file name the error may concern a process or a port.
        is_of_disk = error.errno in (_REASONS if error.filename else _OF_DISKS)
        return _make_error(error) if is_of_disk else None
    if not type(error).__module__.startswith("tensorflow."):
        return None
    found = _TENSORFLOW.search(str(error))
    if found is None:
        return None
    number = next(n for n in _REASONS if os.strerror(n) == found["words"])
    return _make_error(OSError(number, found["words"], found["path"]))


def _make_error(error: OSError) -> StorageError:
    name = error.filename
    path = _without_partial(Path(os.fsdecode(name))) if name else _find_fullest()
    if error.errno in _LOST:
        return LostDiskError(
            f"{path}: cannot be used: {describe_reason(error, path)}. Run the command again once "
            "the disk is back."
        )
    verb = "read" if os.access(path, os.F_OK) and not os.access(path, os.R_OK) else "written"
    return StorageError(
        f"{path}: cannot be {verb}: {describe_reason(error, path)}. {_find_remedy(error, path)}"
    )


def _without_partial(path: Path) -> Path:
    """Strip a temporary name, and all below it, from a path."""
    parts = path.parts
    first = next((i for i, part in enumerate(parts) if _PARTIAL.fullmatch(part)), len(parts))
    return Path(*parts[:first])


def _find_fullest() -> Path:
    """Find the folder, of those kft writes into, whose disk has the least free space."""
    folders = [Path.cwd(), Path(tempfile.gettempdir())]
    with suppress(StorageError):
        folders.append(cache_root())
    return min(folders, key=lambda folder: shutil.disk_usage(_existing(folder)).free)


def _find_remedy(error: OSError, path: Path) -> str:
    if error.errno in _FULL:
        return f"Free space on that disk{_describe_clearable(path)}."
    choice = "Choose a writable folder"
    if path.is_relative_to(tempfile.gettempdir()):
        choice = "Set TMPDIR to a writable folder"
    with suppress(StorageError):
        if path.absolute().is_relative_to(cache_root().absolute()):
            choice = "Set KFT_CACHE_DIR to a writable folder"
    return f"{choice}, or make this one writable."


def _describe_clearable(path: Path) -> str:
    """Say how much `kft cache clear` would free on the path's disk, if anything."""
    with suppress(StorageError):
        if _find_mount(path) == _find_mount(cache_root()):
            num_bytes = sum(entry.num_bytes for entry in find_clearable())
            if num_bytes >= _WORTH_CLEARING:
                return f"; `kft cache clear` frees up to {num_bytes / 1e6:,.1f} MB of it"
    return ""


@contextmanager
def attach_path(path: Path) -> Iterator[None]:
    """Add a file's path to errors of writing it, which the system raises without a name."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
