"""Removal of the entries of the cache that a user names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kft.errors import ConfigError
from kft.runs.caches import (
    EVICTABLE,
    CacheEntry,
    cache_root,
    find_entries,
    list_entries,
    remove_abandoned,
    remove_unused,
)


@dataclass(frozen=True)
class Cleared:
    """Result of `clear`.

    Attributes:
        removed: Entries that were removed.
        in_use: Entries that stay because a process uses them.
        freed_bytes: Size of the removed entries and of the leftovers of killed processes.
    """

    removed: tuple[CacheEntry, ...]
    in_use: tuple[CacheEntry, ...]
    freed_bytes: int


def find_clearable(room: str | None = None, key: str | None = None) -> list[CacheEntry]:
    """List the entries that `kft cache clear` is asked to remove.

    Args:
        room: Name of a room; None for every room whose entries are locked while in use.
        key: First characters of an entry's name; None for all entries of the room.

    Raises:
        ConfigError: The cache has no such room, or the room no such entry.
    """
    if room is None:
        return [entry for entry in list_entries() if entry.room in EVICTABLE]
    found = [entry for entry in find_entries(room) if entry.key.startswith(key or "")]
    if key is not None and not found:
        raise ConfigError(
            f"{cache_root() / room}: the room has no entry whose name begins with {key!r}. "
            f"Run `kft cache list {room}` to see all entries."
        )
    return found


def clear(entries: Iterable[CacheEntry]) -> Cleared:
    """Remove the entries that no process uses, and the leftovers of killed processes."""
    removed: list[CacheEntry] = []
    in_use: list[CacheEntry] = []
    for entry in entries:
        (removed if remove_unused(entry) else in_use).append(entry)
    freed_bytes = remove_abandoned() + sum(entry.num_bytes for entry in removed)
    return Cleared(tuple(removed), tuple(in_use), freed_bytes)
