"""Errors for what cannot be used, where leaving it out will not do: the first are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from kft.data.splits import Quarantined
from kft.errors import DataError

_SHOWN = 10
# Squares of larger numbers, of which deviations are made, are beyond float64.
_LARGEST_NUMBER = 1e150


def refuse_bad(
    quarantined: Sequence[Quarantined],
    total: int,
    *,
    on_bad: Literal["quarantine", "stop"],
    source: str,
    what: str,
) -> None:
    """Raise where the user wants to stop, or where nothing would be left.

    Args:
        quarantined: What cannot be used.
        total: How many there are, the bad ones included.
        on_bad: `data.on_bad`.
        source: What was read, for the message.
        what: What is counted: 'rows', 'records'.

    Raises:
        DataError: It names the first ten and counts the others.
    """
    is_nothing_left = 0 < total <= len(quarantined)
    if not quarantined or (on_bad == "quarantine" and not is_nothing_left):
        return
    advice = (
        "So nothing is left to learn from. Mend them."
        if is_nothing_left
        else "Mend or remove them, or leave them out with data.on_bad=quarantine."
    )
    raise DataError(
        f"{source}: {len(quarantined):,} of {total:,} {what} cannot be used. {advice}"
        f"\n{list_bad(quarantined)}"
    )


def refuse_out_of_range(numbers: np.ndarray, subject: str) -> None:
    """Refuse numbers whose deviation cannot be computed.

    Args:
        numbers: float64, of any shape.
        subject: Begins the message: where they are.

    Raises:
        DataError: One is too large.
    """
    if numbers.size and np.abs(numbers).max() > _LARGEST_NUMBER:
        raise DataError(
            f"{subject} is {numbers.flat[np.abs(numbers).argmax()]:g}; allowed are numbers up to "
            f"{_LARGEST_NUMBER:g}. Scale them."
        )


def make_unreadable_error(problems: Sequence[str], total: int) -> DataError:
    """An error that names the first files that cannot be used, and counts the others.

    Args:
        problems: Of each such file its name and why.
        total: Files in all.
    """
    return DataError(
        f"{len(problems)} of {total} pictures cannot be read or decoded. Replace or remove them, "
        f"then run again.\n{list_first(problems)}"
    )


def list_bad(quarantined: Sequence[Quarantined]) -> str:
    """The first ten, a line for each, and how many more there are."""
    return list_first([_describe(bad) for bad in quarantined])


def _describe(bad: Quarantined) -> str:
    is_named = Path(bad.path).name in bad.name
    line = f"{bad.name}: {bad.reason}" if is_named else f"{bad.name} ({bad.path}): {bad.reason}"
    # A name may hold a newline or worse, which is not to reach the terminal.
    return line if line.isprintable() else ascii(line)[1:-1]


def list_first(problems: Sequence[str]) -> str:
    """The first ten problems, a line for each, and how many more there are."""
    lines = [f"  - {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN:,} more")
    return "\n".join(lines)
