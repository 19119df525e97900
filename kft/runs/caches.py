"""The cache of results that kft can recompute: unpacked records, stored features, decoded examples.

<root>/<room>/<key>/            an entry; entry.json, written last, lists its files and checksums
<root>/<room>/.<key>.lock       lock held by the process that builds the entry
<root>/<room>/.<key>.….partial  the entry while it is built; never read
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kft.errors import ConfigError
from kft.homes import expand_home
from kft.registry import suggest
from kft.runs.locks import try_exclusive

MANIFEST = "entry.json"
# Rooms whose entries are locked while in use, and may therefore be evicted.
EVICTABLE = ("features", "decoded")
PARTIAL = ".partial"
# Backup programs skip a folder with this tag, and kft skips it inside a data folder.
# Source: Cache Directory Tagging Specification, bford.info/cachedir.
_TAG = "CACHEDIR.TAG"
_TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n# The cache of kft.\n"


def cache_root() -> Path:
    """Folder of the whole cache: `KFT_CACHE_DIR`, or `kft` in the user's cache folder.

    Raises:
        StorageError: The user has no known home folder.
    """
    given = os.environ.get("KFT_CACHE_DIR")
    if given:
        return expand_home(given, "KFT_CACHE_DIR")
    return expand_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "KFT_CACHE_DIR") / "kft"


def cache_folder(room: str) -> Path:
    """Folder of one room of the cache, such as 'features'; created if missing."""
    folder = cache_root() / room
    folder.mkdir(parents=True, exist_ok=True)
    if not is_tagged(cache_root()):
        # Another user's cache may be read-only.
        with suppress(OSError):
            (cache_root() / _TAG).write_text(_TAG_TEXT, encoding="utf-8")
    return folder


def is_tagged(folder: Path) -> bool:
    """Tell whether a folder carries the tag of kft's cache."""
    try:
        return (folder / _TAG).read_bytes() == _TAG_TEXT.encode()
    except OSError:
        return False


@dataclass(frozen=True)
class CacheEntry:
    """One entry of the cache.

    Attributes:
        room: Room that holds it: 'features', 'decoded' …
        key: Name of its folder or file.
        path: Its folder or file.
        about: One-line description; empty where it has none.
        num_bytes: Size of all its files.
        last_used: Time of its last use, in seconds since the epoch.
    """

    room: str
    key: str
    path: Path
    about: str
    num_bytes: int
    last_used: float


def list_entries(room: str | None = None) -> list[CacheEntry]:
    """List the entries of one room or of all, most recently used first."""
    root = cache_root()
    rooms = [room] if room else list_rooms()
    found = [
        entry
        for name in rooms
        for path in (root / name).glob("[!.]*")
        if (entry := _inspect(name, path)) is not None
    ]
    return sorted(found, key=lambda entry: (-entry.last_used, entry.room, entry.key))


def find_entries(room: str | None = None) -> list[CacheEntry]:
    """List the entries of a room that a user names; see `list_entries`.

    Raises:
        ConfigError: The cache has no such room.
    """
    if room is not None and room not in list_rooms():
        raise ConfigError(
            f"{cache_root()}: the cache has no room {room!r}. {suggest(room, list_rooms())} "
            "Run `kft cache list` to see all rooms."
        )
    return list_entries(room)


def list_rooms() -> list[str]:
    """List the names of the existing rooms."""
    return sorted(path.name for path in cache_root().glob("[!.]*/") if path.is_dir())


def _inspect(room: str, path: Path) -> CacheEntry | None:
    """Read an entry's size and use; None if another process has just removed it."""
    manifest = path / MANIFEST
    try:
        last_used = (manifest if manifest.exists() else path).stat().st_mtime
        return CacheEntry(room, path.name, path, _read_about(manifest), _size(path), last_used)
    except FileNotFoundError:
        return None


def _read_about(manifest: Path) -> str:
    try:
        return str(json.loads(manifest.read_text(encoding="utf-8"))["about"])
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _size(path: Path) -> int:
    """Size in bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def touch(manifest: Path) -> None:
    """Record that an entry is used now."""
    # Python's clock: a coarse file system clock would give two uses the same time.
    now = time.time_ns()
    # Another user's entry may be read-only.
    with suppress(OSError):
        os.utime(manifest, ns=(now, now))


def max_entry_bytes(limit_bytes: int) -> int:
    """Largest size of one entry: the limit, or the space that is free or can be freed, if less."""
    if _free_bytes() >= limit_bytes:
        return limit_bytes
    # Leftovers belong to no process: their space counts as free.
    remove_abandoned()
    unused = sum(entry.num_bytes for entry in _list_evictable() if _is_unused(entry))
    return min(limit_bytes, _free_bytes() + unused)


def check_space(num_bytes: int, limit_bytes: int, *, what: str) -> None:
    """Refuse to write `num_bytes` more than limit and disk allow after `make_room`.

    Args:
        num_bytes: Size of the entry to write.
        limit_bytes: Size limit of the cache.
        what: Plural noun phrase for the content, used in the message.

    Raises:
        ConfigError: The entry alone exceeds the limit, or the disk cannot hold it.
    """
    if num_bytes > limit_bytes:
        raise ConfigError(
            f"features.limit_gigabytes: found {limit_bytes / 1e9:g}, but {what} take "
            f"{num_bytes / 1e9:.3g} GB. Raise the limit, or store less: `features.views`, "
            "`features.dtype=float16`, `features.enabled=false`."
        )
    available = max_entry_bytes(limit_bytes)
    if num_bytes > available:
        raise ConfigError(
            f"{cache_root()}: {available / 1e9:.3g} GB are free or can be freed, but {what} take "
            f"{num_bytes / 1e9:.3g} GB. Free disk space, or set KFT_CACHE_DIR to a folder on "
            "another disk."
        )


def make_room(limit_bytes: int, *, for_bytes: int = 0) -> None:
    """Evict the least recently used entries until `for_bytes` more fit into limit and disk.

    Entries that a process uses stay, even if the cache then exceeds its limit.
    """
    remove_abandoned()
    evictable = _list_evictable()
    total = sum(entry.num_bytes for entry in evictable) + for_bytes
    for entry in sorted(evictable, key=lambda entry: entry.last_used):
        if total <= limit_bytes and for_bytes <= _free_bytes():
            break
        if remove_unused(entry):
            total -= entry.num_bytes


def _list_evictable() -> list[CacheEntry]:
    return [entry for room in EVICTABLE for entry in list_entries(room)]


def _is_unused(entry: CacheEntry) -> bool:
    with try_exclusive(entry.path / MANIFEST) as is_exclusive:
        return is_exclusive


def _free_bytes() -> int:
    """Free space of the disk that holds the cache, or will hold it."""
    root = cache_root()
    existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


def remove_unused(entry: CacheEntry) -> bool:
    """Remove an entry unless a process uses it; tell whether it was removed."""
    with try_exclusive(entry.path / MANIFEST) as is_exclusive:
        # A process that uses an entry locks its manifest: without one it is unused.
        if not is_exclusive and (entry.path / MANIFEST).exists():
            return False
        return discard(entry.path)


def discard(path: Path) -> bool:
    """Rename an entry, then delete its files, so that no process ever opens a part of it."""
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
    """Make a name beside `folder` that is never read as an entry."""
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{PARTIAL}")


def lock_path(folder: Path) -> Path:
    """Path of the lock of the process that builds the entry `folder`."""
    return folder.with_name(f".{folder.name}.lock")


def remove_abandoned() -> int:
    """Remove the partial entries of killed processes; return their size in bytes."""
    freed = 0
    for room in EVICTABLE:
        for partial in (cache_root() / room).glob(f".*{PARTIAL}/"):
            lock = lock_path(partial.with_name(partial.name.split(".")[1]))
            # If the lock is free, the process that wrote the entry is gone.
            with try_exclusive(lock, make=True) as is_exclusive:
                if is_exclusive:
                    with suppress(FileNotFoundError):
                        freed += _size(partial)
                    shutil.rmtree(partial, ignore_errors=True)
                    lock.unlink(missing_ok=True)
    return freed
