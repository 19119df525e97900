"""Errors that list unusable examples by reason."""

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
    """Raise if there are unusable examples and the user wants to stop, or if no others are left.

    Args:
        quarantined: Unusable examples.
        total: Number of examples, including unusable ones.
        on_invalid_file: `data.on_invalid_file`.
        source: Name of the data for the message.
        what: Plural noun for the examples, such as 'rows' or 'records'.
        hint: Sentence that says how to fix them, if known.

    Raises:
        DataError: The message names each reason with its count and the first examples.
    """
    is_nothing_left = 0 < total <= len(quarantined)
    if not quarantined or (on_invalid_file == "quarantine" and not is_nothing_left):
        return
    advice = (
        "Nothing is left to learn from. Fix them."
        if is_nothing_left
        else "Fix or remove them, or leave them out with data.on_invalid_file=quarantine."
    )
    raise DataError(
        f"{source}: {len(quarantined):,} of {total:,} {what} cannot be used. "
        f"{' '.join(filter(None, (advice, hint)))}\n{list_bad(quarantined)}"
    )


def make_unreadable_error(problems: Sequence[tuple[str, str]], total: int) -> DataError:
    """Make an error that lists the unusable files by reason.

    Args:
        problems: Name of each such file, and the reason.
        total: Total number of files.
    """
    return DataError(
        f"{len(problems)} of {total} files cannot be read or decoded. Replace or remove them, "
        f"then run again.\n{list_by_reason(problems)}"
    )


def list_bad(quarantined: Sequence[Quarantined]) -> str:
    """List each reason once, with its count and its first three examples."""
    return list_by_reason([_describe(bad) for bad in quarantined])


def _describe(bad: Quarantined) -> tuple[str, str]:
    """Return name and reason in printable form: a name may hold control characters."""
    is_named = Path(bad.path).name in bad.name
    name = bad.name if is_named else f"{bad.name} ({bad.path})"
    return printable(name), printable(bad.reason)
