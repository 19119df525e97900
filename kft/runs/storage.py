"""Folders that cannot be written and disks that are full: which, why, and what mends it."""

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
from kft.runs.caches import EVICTABLE, cache_root, find_clearable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LOST = (errno.EIO, errno.ESTALE)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
# Of writing into a file that is open, whose name the system does not say.
_OF_DISKS = (*_FULL, *_LOST, errno.EROFS)
# What the surroundings are to blame for, not a program; and what is said of it.
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
# TensorFlow writes "PATH; WORDS OF THE SYSTEM"; nothing else of the number is left.
_TENSORFLOW = re.compile(
    rf"(?P<path>/[^;{{}}]*); (?P<words>{'|'.join(re.escape(os.strerror(n)) for n in _REASONS)})"
)
_PARTIAL = re.compile(r"\..*\.partial(\..*)?")
# Less would not help.
_WORTH_CLEARING = 1_000_000
# Rooms of the cache that a run may write into, whatever its data.
_WRITTEN_ROOMS = (*EVICTABLE, "converted")


def check_cache() -> None:
    """Refuse a cache folder that cannot be written, before any work whose results it would keep.

    Raises:
        StorageError: It says which folder, why, and by which variable to choose another.
    """
    root = cache_root()
    for folder in (root, *(root / room for room in _WRITTEN_ROOMS if (root / room).exists())):
        obstacle = find_obstacle(folder)
        if obstacle is not None:
            home = "" if "HOME" in os.environ or _is_given() else " (HOME is not set)"
            raise StorageError(
                f"{folder}: the cache folder cannot be written: {obstacle}{home}. Set "
                "KFT_CACHE_DIR to a folder that can be written; it keeps stored features, decoded "
                "examples and converted copies."
            )


def check_folder(folder: Path, setting: str) -> None:
    """Refuse a folder that cannot be written, before the work that is for it.

    Args:
        folder: Need not exist yet.
        setting: That names it, of a pipeline or the command line.

    Raises:
        StorageError: It says which folder, and why.
    """
    obstacle = find_obstacle(folder)
    if obstacle is not None:
        raise StorageError(
            f"{setting}: {folder} cannot be written: {obstacle}. Choose a folder that can be "
            "written, or make that one so."
        )


def _is_given() -> bool:
    return any(os.environ.get(name) for name in ("KFT_CACHE_DIR", "XDG_CACHE_HOME"))


def find_obstacle(folder: Path) -> str | None:
    """Why nothing can be written into a folder, which need not exist yet; None if all is well.

    A full disk is none: what is there may make room.
    """
    folder = folder.absolute()
    # Not `Path.exists`, which raises where a folder above may not be looked into.
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    which = "" if existing == folder else f" ({existing})"
    try:
        if not existing.is_dir():
            return f"{existing} is not a folder"
        # Has no name where the system allows that, and goes away by itself.
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        if error.errno in _FULL:
            return None
        return f"{describe_reason(error, existing)}{which}"


def describe_reason(error: OSError, path: Path) -> str:
    """Why `path` could not be written or read, in words."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
    if error.errno in _FULL:
        mount = _find_mount(path)
        disk = shutil.disk_usage(mount)
        # What was half written is gone by now.
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
    """Where the disk of a path, which need not exist, is mounted."""
    existing = _existing(path).resolve()
    return next(part for part in (existing, *existing.parents) if part.is_mount())


def find_storage_failure(error: BaseException) -> StorageError | None:
    """What an error says of a disk or folder, if that is what it comes from.

    Looks at the errors that it was raised for too, and at those in which TensorFlow wraps the
    system's.
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
        # Without a file it may be a process or a port that is not permitted.
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
            f"{path}: cannot be used: {describe_reason(error, path)}. Start the command again once "
            "the disk is back."
        )
    verb = "read" if os.access(path, os.F_OK) and not os.access(path, os.R_OK) else "written"
    return StorageError(
        f"{path}: cannot be {verb}: {describe_reason(error, path)}. {_find_remedy(error, path)}"
    )


def _without_partial(path: Path) -> Path:
    """The folder of a file or folder that has only a temporary name."""
    parts = path.parts
    first = next((i for i, part in enumerate(parts) if _PARTIAL.fullmatch(part)), len(parts))
    return Path(*parts[:first])


def _find_fullest() -> Path:
    """Of the folders that kft writes into, the one whose disk has the least room."""
    folders = [Path.cwd(), Path(tempfile.gettempdir())]
    with suppress(StorageError):
        folders.append(cache_root())
    return min(folders, key=lambda folder: shutil.disk_usage(_existing(folder)).free)


def _find_remedy(error: OSError, path: Path) -> str:
    if error.errno in _FULL:
        return f"Make room on that disk{_describe_clearable(path)}."
    choice = "Choose a folder that can be written"
    if path.is_relative_to(tempfile.gettempdir()):
        choice = "Set TMPDIR to a folder that can be written"
    with suppress(StorageError):
        if path.absolute().is_relative_to(cache_root().absolute()):
            choice = "Set KFT_CACHE_DIR to a folder that can be written"
    return f"{choice}, or make that one so."


def _describe_clearable(path: Path) -> str:
    """What `kft cache clear` would free there, if anything."""
    with suppress(StorageError):
        if _find_mount(path) == _find_mount(cache_root()):
            num_bytes = sum(entry.num_bytes for entry in find_clearable())
            if num_bytes >= _WORTH_CLEARING:
                return f"; `kft cache clear` frees up to {num_bytes / 1e6:,.1f} MB of it"
    return ""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name a file in an error that came while it was written, which the system does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
