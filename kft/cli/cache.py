"""`kft cache`."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kft.cli.options import form_options

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.runs.caches import CacheEntry


@click.group("cache", short_help="List or clear cached results.")
def command() -> None:
    """List or clear cached results.

    The cache holds features of frozen blocks, decoded examples, unpacked records, converted
    pictures and results of `kft benchmark`, all of which can be computed again. Its folder is
    KFT_CACHE_DIR, by default ~/.cache/kft. When a run reaches `features.limit_gigabytes`, the
    least recently used features and decoded examples are removed.

    \b
    Examples:
      kft cache list
      kft cache clear features
    """


@command.command("list", short_help="List the entries, most recently used first.")
@click.argument("room", required=False)
@form_options
def list_command(room: str | None, form: Form) -> None:
    """List the entries of one ROOM or of all rooms, with contents, size and last use.

    \b
    Examples:
      kft cache list
      kft cache list features
    """
    from kft.cli.records import print_records
    from kft.cli.tables import make_console, show_remark, show_table
    from kft.runs.caches import cache_root, find_entries

    entries, folder = find_entries(room), cache_root() / (room or "")
    if form != "text":
        print_records(map(_describe, entries), form)
        return
    console = make_console()
    if not entries:
        show_remark(console, f"No entries in {folder}.")
        return
    rows = (
        (
            entry.room,
            # A prefix is enough to type in `kft cache clear ROOM KEY`.
            entry.key[:12] if console.is_terminal else entry.key,
            entry.about,
            format_bytes(entry.num_bytes),
            f"{datetime.datetime.fromtimestamp(entry.last_used):%Y-%m-%d %H:%M}",
        )
        for entry in entries
    )
    show_table(console, ("room", "key", "contents", "size>", "last used"), rows)
    show_remark(console, _add_up(entries, folder))


def _describe(entry: CacheEntry) -> dict[str, Any]:
    used = datetime.datetime.fromtimestamp(entry.last_used).astimezone()
    return {
        "room": entry.room,
        "key": entry.key,
        "what": entry.about,
        "bytes": entry.num_bytes,
        "last_used": used.isoformat(timespec="seconds"),
        "path": str(entry.path),
    }


def _add_up(entries: Sequence[CacheEntry], folder: Path) -> str:
    """Describe the size of entries, and how much of the limit is used."""
    from kft.config import FeaturesConfig
    from kft.runs.caches import EVICTABLE, list_entries

    # The limit applies to these rooms together, even if only one is listed.
    limited = sum(entry.num_bytes for entry in list_entries() if entry.room in EVICTABLE)
    total = sum(entry.num_bytes for entry in entries)
    limit = FeaturesConfig().limit_gigabytes * 1e9
    return (
        f"{format_bytes(total)} in {folder}; {' and '.join(EVICTABLE)} use "
        f"{format_bytes(limited)} of {format_bytes(limit)}, the default limit; a pipeline may "
        "set another with features.limit_gigabytes."
    )


@command.command("clear", short_help="Remove entries that are not in use.")
@click.argument("room", required=False)
@click.argument("key", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear_command(room: str | None, key: str | None, yes: bool) -> None:
    """Remove all entries, the entries of one ROOM, or those whose key begins with KEY.

    Entries in use are kept. Four rooms are cleared only if they are named: `unpacked` and
    `converted`, whose use cannot be detected, `values`, the only copy of examples that Python
    gave, and `measured`, the results of `kft benchmark`.

    \b
    Examples:
      kft cache clear
      kft cache clear features 3f9c --yes
    """
    from kft.runs.clearing import clear, find_clearable
    from kft.runs.storage import check_cache

    found = find_clearable(room, key)
    check_cache()
    if found and not yes:
        size = format_bytes(sum(entry.num_bytes for entry in found))
        click.confirm(f"Remove {_count(found)}, {size}?", abort=True)
    cleared = clear(found)
    freed = format_bytes(cleared.freed_bytes)
    click.echo(f"Removed {_count(cleared.removed)} and freed {freed}.")
    for entry in cleared.in_use:
        click.echo(f"Kept {entry.room} {entry.key[:12]}: it is in use.")


def _count(entries: Sequence[CacheEntry]) -> str:
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"


def format_bytes(count: float) -> str:
    """Format a size in bytes, such as '12.3 MB', with units of powers of 1000.

    >>> format_bytes(12_300_000)
    '12.3 MB'
    """
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
