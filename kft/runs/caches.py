"""Where kft keeps what it can make again: unpacked records, stored features, decoded examples.

<root>/<room>/<key>/            an entry; entry.json, written last, says what the rest should be
<root>/<room>/.<key>.lock       held by the process that makes the entry
<root>/<room>/.<key>.….partial  what it has so far; never read
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kft.errors import ConfigError
from kft.homes import expand_home
from kft.registry import suggest
from kft.runs.locks import try_alone

MANIFEST = "entry.json"
# The rooms whose entries are locked while in use, and so may make room for others.
EVICTABLE = ("features", "decoded")
PARTIAL = ".partial"
# By it backups leave a cache out, and kft one that lies in a data folder.
# Source: the Cache Directory Tagging Specification, bford.info/cachedir.
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# The cache of kft.\n"


def cache_root() -> Path:
    """`KFT_CACHE_DIR`, or `kft` in the user's cache folder.

    Raises:
        StorageError: The system knows no home folder of this user.
    """
    given = os.environ.get("KFT_CACHE_DIR")
    if given:
        return expand_home(given, "KFT_CACHE_DIR")
    return expand_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "KFT_CACHE_DIR") / "kft"


def cache_folder(room: str) -> Path:
    """The cache of one room, such as 'features'; made if it is not there."""
    folder = cache_root() / room
    folder.mkdir(parents=True, exist_ok=True)
    if not is_tagged(cache_root()):
        # Another user's cache can be read, but not tagged.
        with suppress(OSError):
            (cache_root() / _TAG).write_text(_TAG_TEXT, encoding="utf-8")
    return folder


def is_tagged(folder: Path) -> bool:
    """Whether a folder says that it is a cache of kft."""
    try:
        return (folder / _TAG).read_bytes() == _TAG_TEXT.encode()
    except OSError:
        return False


@dataclass(frozen=True)
class Kept:
    """One entry on the disk.

    Attributes:
        room: 'features', 'decoded' …
        key: Name of its folder or file.
        path: Its folder or file.
        about: What it is, in a line; empty where it does not say.
        num_bytes: Of all its files.
        last_used: Seconds since the epoch.
    """

    room: str
    key: str
    path: Path
    about: str
    num_bytes: int
    last_used: float


def list_kept(room: str | None = None) -> list[Kept]:
    """The entries of a room or of all, used last first."""
    root = cache_root()
    rooms = [room] if room else list_rooms()
    found = [
        kept
        for name in rooms
        for path in (root / name).glob("[!.]*")
        if (kept := _measure(name, path)) is not None
    ]
    return sorted(found, key=lambda kept: (-kept.last_used, kept.room, kept.key))


def find_kept(room: str | None = None) -> list[Kept]:
    """As `list_kept`, for a room that a user names.

    Raises:
        ConfigError: There is no such room.
    """
    if room is not None and room not in list_rooms():
        raise ConfigError(
            f"{cache_root()}: has no room {room!r}. {suggest(room, list_rooms())} "
            "Run `kft cache list` to see what there is."
        )
    return list_kept(room)


def list_rooms() -> list[str]:
    """Names of the rooms that are there."""
    return sorted(path.name for path in cache_root().glob("[!.]*/") if path.is_dir())


def _measure(room: str, path: Path) -> Kept | None:
    """What an entry takes; None where another process removed it meanwhile."""
    manifest = path / MANIFEST
    try:
        last_used = (manifest if manifest.exists() else path).stat().st_mtime
        return Kept(room, path.name, path, _read_about(manifest), _size(path), last_used)
    except FileNotFoundError:
        return None


def _read_about(manifest: Path) -> str:
    try:
        return str(json.loads(manifest.read_text(encoding="utf-8"))["about"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _size(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def touch(manifest: Path) -> None:
    """Remember that an entry was used now."""
    # The clock of Python, not of the file system: a coarse one would make two uses one moment.
    now = time.time_ns()
    # Another user's entry can be read, but not told that it was.
    with suppress(OSError):
        os.utime(manifest, ns=(now, now))


def most_bytes(limit_bytes: int) -> int:
    """What one entry may take: the limit, but no more than is free or that `make_room` can free."""
    if _free_bytes() >= limit_bytes:
        return limit_bytes
    # Nobody's: counted as free.
    remove_abandoned()
    unused = sum(entry.num_bytes for entry in _list_evictable() if _is_unused(entry))
    return min(limit_bytes, _free_bytes() + unused)


def check_space(num_bytes: int, limit_bytes: int, *, what: str) -> None:
    """That `num_bytes` more may be written, once `make_room` made room for them.

    Raises:
        ConfigError: They exceed the limit by themselves, or what the disk can hold.
    """
    if num_bytes > limit_bytes:
        raise ConfigError(
            f"features.limit_gigabytes: found {limit_bytes / 1e9:g}, but {what} take "
            f"{num_bytes / 1e9:.3g} GB. Raise the limit, or store less: `features.views`, "
            "`features.dtype=float16`, `features.enabled=false`."
        )
    most = most_bytes(limit_bytes)
    if num_bytes > most:
        raise ConfigError(
            f"{cache_root()}: {most / 1e9:.3g} GB are free or can be freed, but {what} take "
            f"{num_bytes / 1e9:.3g} GB. Free some, or set KFT_CACHE_DIR to a folder on another "
            "disk."
        )


def make_room(limit_bytes: int, *, for_bytes: int = 0) -> None:
    """Remove what was used least recently until `for_bytes` more keep the limit, and find room.

    An entry in use by any process stays, over the limit if need be.
    """
    remove_abandoned()
    kept = _list_evictable()
    total = sum(entry.num_bytes for entry in kept) + for_bytes
    for entry in sorted(kept, key=lambda entry: entry.last_used):
        if total <= limit_bytes and for_bytes <= _free_bytes():
            break
        if remove_unused(entry):
            total -= entry.num_bytes


def _list_evictable() -> list[Kept]:
    return [entry for room in EVICTABLE for entry in list_kept(room)]


def _is_unused(entry: Kept) -> bool:
    with try_alone(entry.path / MANIFEST) as is_alone:
        return is_alone


def _free_bytes() -> int:
    """Of the disk that the cache is on, or will be made on."""
    root = cache_root()
    there = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def remove_unused(entry: Kept) -> bool:
    """Remove an entry that no process uses; whether it was removed."""
    with try_alone(entry.path / MANIFEST) as is_alone:
        # Without a manifest it is no entry that could be in use.
        if not is_alone and (entry.path / MANIFEST).exists():
            return False
        return discard(entry.path)


def discard(path: Path) -> bool:
    """Take an entry's name away, then its files; nobody ever sees a part of it as an entry."""
    if path.is_file():
        path.unlink(missing_ok=True)
        return True
    aside = make_partial_path(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    shutil.rmtree(aside, ignore_errors=True)
    return True


def make_partial_path(folder: Path) -> Path:
    """A name beside `folder` that is never read."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{PARTIAL}")


def lock_path(folder: Path) -> Path:
    """The lock of the process that makes the entry `folder`."""
    return folder.with_name(f".{folder.name}.lock")


@dataclass(frozen=True)
class Cleared:
    """What `clear` did.

    Attributes:
        removed: Entries that are gone.
        in_use: Entries that a process uses, which stay.
        freed_bytes: Of the removed ones, and of what killed processes had left.
    """

    removed: tuple[Kept, ...]
    in_use: tuple[Kept, ...]
    freed_bytes: int


def find_clearable(room: str | None = None, key: str | None = None) -> list[Kept]:
    """The entries that `kft cache clear` is asked to remove.

    Args:
        room: Name of a room; None for all whose entries tell whether they are in use.
        key: Beginning of the name of an entry; None for all of the room.

    Raises:
        ConfigError: There is no such room, or no such entry.
    """
    if room is None:
        return [kept for kept in list_kept() if kept.room in EVICTABLE]
    found = [kept for kept in find_kept(room) if kept.key.startswith(key or "")]
    if key is not None and not found:
        raise ConfigError(
            f"{cache_root() / room}: has no entry whose name begins with {key!r}. "
            f"Run `kft cache list {room}` to see what there is."
        )
    return found


def clear(entries: Iterable[Kept]) -> Cleared:
    """Remove entries that no process uses, and what killed processes left."""
    removed: list[Kept] = []
    in_use: list[Kept] = []
    for entry in entries:
        (removed if remove_unused(entry) else in_use).append(entry)
    freed_bytes = remove_abandoned() + sum(entry.num_bytes for entry in removed)
    return Cleared(tuple(removed), tuple(in_use), freed_bytes)


def remove_abandoned() -> int:
    """Remove what killed processes left half written; gives its bytes."""
    freed = 0
    for room in EVICTABLE:
        for partial in (cache_root() / room).glob(f".*{PARTIAL}/"):
            lock = lock_path(partial.with_name(partial.name.split(".")[1]))
            # A lock that nobody holds is a dead writer's.
            with try_alone(lock, make=True) as is_alone:
                if is_alone:
                    with suppress(FileNotFoundError):
                        freed += _size(partial)
                    shutil.rmtree(partial, ignore_errors=True)
                    lock.unlink(missing_ok=True)
    return freed
