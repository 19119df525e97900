"""Entries of the cache: each is built atomically by one process and verified when opened."""

from __future__ import annotations

import json
import os
import shutil
import weakref
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kft.runs.caches import (
    MANIFEST,
    PARTIAL,
    cache_folder,
    cache_root,
    check_space,
    discard,
    lock_path,
    make_partial_path,
    make_room,
    touch,
)
from kft.runs.locks import hold_exclusive, open_shared
from kft.runs.storage import attach_path

FORMAT = 2
_CHUNK_BYTES = 4_000_000


@dataclass(frozen=True, eq=False)
class Entry:
    """A verified entry, which no process removes while this object lives.

    Keep the object as long as its files are read; a memory map does not keep the entry.

    Attributes:
        path: Its folder.
        facts: Facts that its builder recorded.
        was_cached: Whether the entry existed already.
    """

    path: Path
    facts: Mapping[str, Any]
    was_cached: bool
    _descriptor: int = field(repr=False)

    def __post_init__(self) -> None:
        # Closing the descriptor releases the shared lock.
        weakref.finalize(self, os.close, self._descriptor)


def open_or_build(
    room: str,
    key: str,
    build: Callable[[Path], Mapping[str, Any] | None],
    *,
    about: str,
    limit_bytes: int,
    expected_bytes: int = 0,
    on_wait: Callable[[], None] | None = None,
) -> Entry:
    """Open and verify the entry `key`; build it if it is missing or damaged.

    If several processes want the same entry, one builds it and the others wait. A build that
    fails or is killed leaves nothing that is ever read. The least recently used entries are
    evicted to make room.

    Args:
        room: 'features' or 'decoded'.
        key: Digest of everything that decides the content, in letters and digits.
        build: Writes the files of the entry into the empty folder that it is given. It may
            return facts, as JSON values, to be kept with the entry, and must not open the
            same entry.
        about: One-line description for `kft cache list`.
        limit_bytes: Size limit of all evictable rooms together.
        expected_bytes: Size of the files that `build` writes; 0 if unknown.
        on_wait: Called once if another process is building the entry.

    Raises:
        ConfigError: `expected_bytes` exceeds the limit or the space of the disk.
    """
    folder = cache_folder(room) / key
    entry = _open(folder)
    if entry is not None:
        return entry
    with hold_exclusive(lock_path(folder), on_wait=on_wait):
        # Another process may have built the entry while this one waited.
        entry = _open(folder)
        if entry is not None:
            return entry
        for partial in folder.parent.glob(f".{key}.*{PARTIAL}"):
            shutil.rmtree(partial, ignore_errors=True)
        check_space(expected_bytes, limit_bytes, what=about)
        make_room(limit_bytes, for_bytes=expected_bytes)
        entry = _build(folder, build, about)
    make_room(limit_bytes)
    return entry


def has_entry(room: str, key: str) -> bool:
    """Tell whether the cache holds a verified entry `key`."""
    return _open(cache_root() / room / key) is not None


def _build(folder: Path, build: Callable[[Path], Mapping[str, Any] | None], about: str) -> Entry:
    partial = make_partial_path(folder)
    partial.mkdir()
    try:
        with attach_path(folder):
            facts = dict(build(partial) or {})
            files = {
                str(file.relative_to(partial)): list(_sum_up(file))
                for file in sorted(partial.rglob("*"))
                if file.is_file()
            }
            content = {"format": FORMAT, "about": about, "facts": facts, "files": files}
            # Not synced: after a power cut the checksums differ, and the entry is rebuilt.
            (partial / MANIFEST).write_text(_dump(content), encoding="utf-8")
            # Locked before the rename, so that no process evicts it in between.
            descriptor = open_shared(partial / MANIFEST)
            entry = Entry(folder, facts, was_cached=False, _descriptor=descriptor)
            # Replaces a damaged entry. A process that still reads it keeps its open files.
            discard(folder)
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return entry


def _open(folder: Path) -> Entry | None:
    """Open the entry at `folder`; None if it is missing or damaged."""
    try:
        descriptor = open_shared(folder / MANIFEST)
    except OSError:
        return None
    try:
        content = read_manifest(folder)
        is_whole = content is not None and all(
            list(_sum_up(folder / name)) == expected for name, expected in content["files"].items()
        )
    except OSError:
        is_whole = False
    except BaseException:
        os.close(descriptor)
        raise
    if not is_whole:
        os.close(descriptor)
        return None
    assert content is not None
    touch(folder / MANIFEST)
    return Entry(folder, content["facts"], was_cached=True, _descriptor=descriptor)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read entry.json; None if it is missing, damaged or of another format."""
    try:
        value = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(value, dict):
        return None
    content = {name: part for name, part in value.items() if name != "checksum"}
    is_sound = value.get("checksum") == _checksum(content) and content.get("format") == FORMAT
    return content if is_sound else None


def _dump(content: Mapping[str, Any]) -> str:
    signed = {**content, "checksum": _checksum(content)}
    return json.dumps(signed, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _checksum(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _sum_up(file: Path) -> tuple[int, int]:
    """Size and CRC-32 of a file, read in chunks.

    CRC-32 detects every single burst of up to 32 damaged bits, and any other damage but for one
    case in 2**32. It runs at some 2 GB/s, four times as fast as a cryptographic digest, which
    would protect against attacks rather than damage.
    """
    size, checksum = 0, 0
    buffer = bytearray(_CHUNK_BYTES)
    view = memoryview(buffer)
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            size += count
            checksum = zlib.crc32(view[:count], checksum)
    return size, checksum
