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


@click.group("cache", short_help="List or clear what kft keeps to save work.")
def command() -> None:
    """List or clear what kft keeps to save work.

    Features of frozen blocks, decoded examples, unpacked records, converted pictures, what `kft
    benchmark` found: all of it can be made again. It lies in KFT_CACHE_DIR, by default
    ~/.cache/kft. Features and decoded examples that were used least recently make room when a run's
    `features.limit_gigabytes` is reached.

    \b
    Examples:
      kft cache list
      kft cache clear features
    """


@command.command("list", short_help="Show the entries, used last first.")
@click.argument("room", required=False)
@form_options
def list_command(room: str | None, form: Form) -> None:
    """Show the entries of one ROOM or of all: what they are, their size, when they were used.

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
        show_remark(console, f"Nothing is kept in {folder}.")
        return
    rows = (
        (
            entry.room,
            # Enough for `kft cache clear ROOM KEY`, where a person types it.
            entry.key[:12] if console.is_terminal else entry.key,
            entry.about,
            format_bytes(entry.num_bytes),
            f"{datetime.datetime.fromtimestamp(entry.last_used):%Y-%m-%d %H:%M}",
        )
        for entry in entries
    )
    show_table(console, ("room", "key", "what", "size>", "last used"), rows)
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
    """What entries take, and how much of the limit is taken."""
    from kft.config import FeaturesConfig
    from kft.runs.caches import EVICTABLE, list_entries

    # The limit holds for these rooms together, whichever was asked for.
    limited = sum(entry.num_bytes for entry in list_entries() if entry.room in EVICTABLE)
    total = sum(entry.num_bytes for entry in entries)
    limit = FeaturesConfig().limit_gigabytes * 1e9
    return (
        f"{format_bytes(total)} in {folder}; {' and '.join(EVICTABLE)} take "
        f"{format_bytes(limited)} of {format_bytes(limit)}, or of what a pipeline says in "
        "features.limit_gigabytes."
    )


@command.command("clear", short_help="Remove entries that no process uses.")
@click.argument("room", required=False)
@click.argument("key", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear_command(room: str | None, key: str | None, yes: bool) -> None:
    """Remove all entries, those of one ROOM, or those of it whose name begins with KEY.

    Entries in use stay. Three rooms are spared unless they are named: `unpacked` and `converted`,
    which do not tell whether they are in use, and `measured`, what `kft benchmark` found.

    \b
    Examples:
      kft cache clear
      kft cache clear features 3f9c --yes
    """
    from kft.runs.caches import clear, find_clearable
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
        click.echo(f"Kept {entry.room} {entry.key[:12]}: a process uses it.")


def _count(entries: Sequence[CacheEntry]) -> str:
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"


def format_bytes(count: float) -> str:
    """Such as '12.3 MB', in units of a thousand."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
