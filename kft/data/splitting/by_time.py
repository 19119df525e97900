"""Split by time: the latest examples are the holdout, and those before them validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from kft.data.found import Found
from kft.errors import DataError
from kft.examples import SplitName
from kft.printing import listed

# From 1973 to 9999, in seconds since 1970. Smaller numbers are years, days or steps, and larger
# numbers are milliseconds; both are shown unchanged.
_SECONDS = (1e8, 2.5e11)


def find_starts(
    found: Found,
    positions: np.ndarray,
    units: np.ndarray,
    shares: Mapping[SplitName, float],
) -> dict[SplitName, float]:
    """Find the start times of validation and the holdout.

    Each start lies between two distinct times, nearest to the wanted share of examples, so
    examples of the same time stay together.

    Args:
        found: Examples of a source, with times.
        positions: Indices of the examples to divide.
        units: Unit of each of `positions`; a unit goes with its latest example.
        shares: Shares of validation and holdout, above 0.

    Raises:
        DataError: An example has no time, or there are fewer times than splits.
    """
    times = np.sort(latest_times(found, positions, units))
    # Indices at which the time changes.
    changes = np.flatnonzero(np.diff(times)) + 1
    if len(changes) < len(shares):
        raise DataError(
            f"{found.source}: the {len(times)} examples to split by time have "
            f"{len(changes) + 1} distinct times, too few for train and "
            f"{' and '.join(shares)}. Give finer times, "
            f"or set {' or '.join(f'data.{name}=0' for name in shares)}."
        )
    starts: dict[SplitName, float] = {}
    end = len(times)
    wanted: list[SplitName] = [name for name in ("holdout", "validation") if name in shares]
    for following, name in zip(reversed(range(len(wanted))), wanted, strict=True):
        # Each remaining part needs at least one time below this start.
        allowed = changes[following : np.searchsorted(changes, end)]
        aim = end - max(1, math.floor(len(times) * shares[name] + 0.5))
        end = int(allowed[np.argmin(np.abs(allowed - aim))])
        starts[name] = float(times[end])
    return starts


def latest_times(found: Found, positions: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the latest time in the unit of each of `positions`.

    An earlier example that looks like a later one goes with it, so training sees nothing from
    after the start of validation.

    Raises:
        DataError: An example has no time.
    """
    assert found.times is not None
    times = np.asarray(found.times, np.float64)[positions]
    without = [found.examples.ids[i] for i in positions[~np.isfinite(times)]]
    if without:
        raise DataError(
            f"{found.source}: {len(without)} of {len(times)} examples have no time: "
            f"{listed(without)}. Fill in the column of data.split.time_column, or remove them."
        )
    latest = np.full(len(units) and int(units.max()) + 1, -np.inf)
    np.maximum.at(latest, units, times)
    return latest[units]


def format_time(time: float) -> str:
    """Format a time as a date, with the time of day unless it is midnight (UTC)."""
    if not _SECONDS[0] <= time < _SECONDS[1]:
        return str(int(time)) if time.is_integer() else repr(time)
    moment = datetime.fromtimestamp(time, UTC)
    is_midnight = time % 86_400 == 0
    return moment.strftime("%Y-%m-%d" if is_midnight else "%Y-%m-%d %H:%M:%S")
