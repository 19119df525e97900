"""Errors for what cannot be used, where leaving it out will not do: each reason once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kft.data.reason_groups import list_by_reason
from kft.errors import DataError
from kft.examples import Quarantined
from kft.printing import printable


def refuse_bad(
    quarantined: Sequence[Quarantined],
    total: int,
    *,
    on_invalid_file: Literal["quarantine", "stop"],
    source: str,
    what: str,
    hint: str = "",
) -> None:
    """Raise where the user wants to stop, or where nothing would be left.

    Args:
        quarantined: What cannot be used.
        total: How many there are, the bad ones included.
        on_invalid_file: `data.on_invalid_file`.
        source: What was read, for the message.
        what: What is counted: 'rows', 'records'.
        hint: A sentence on what would mend them, where it is known.

    Raises:
        DataError: It names each reason with its count and the first examples.
    """
    is_nothing_left = 0 < total <= len(quarantined)
    if not quarantined or (on_invalid_file == "quarantine" and not is_nothing_left):
        return
    advice = (
        "So nothing is left to learn from. Mend them."
        if is_nothing_left
        else "Mend or remove them, or leave them out with data.on_invalid_file=quarantine."
    )
    raise DataError(
        f"{source}: {len(quarantined):,} of {total:,} {what} cannot be used. "
        f"{' '.join(filter(None, (advice, hint)))}\n{list_bad(quarantined)}"
    )


def make_unreadable_error(problems: Sequence[tuple[str, str]], total: int) -> DataError:
    """An error that names the files that cannot be used, by reason.

    Args:
        problems: Of each such file its name and why.
        total: Files in all.
    """
    return DataError(
        f"{len(problems)} of {total} files cannot be read or decoded. Replace or remove them, "
        f"then run again.\n{list_by_reason(problems)}"
    )


def list_bad(quarantined: Sequence[Quarantined]) -> str:
    """Each reason once, with how many there are and the first three of them."""
    return list_by_reason([_describe(bad) for bad in quarantined])


def _describe(bad: Quarantined) -> tuple[str, str]:
    """Name and reason, both printable: a name may hold a newline or worse."""
    is_named = Path(bad.path).name in bad.name
    name = bad.name if is_named else f"{bad.name} ({bad.path})"
    return printable(name), printable(bad.reason)
