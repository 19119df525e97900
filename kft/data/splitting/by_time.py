"""Examples -> parts by their time: the latest are the holdout, those before them validation."""

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
# ones milliseconds: all of them are shown as they are.
_SECONDS = (1e8, 2.5e11)


def find_starts(
    found: Found,
    positions: np.ndarray,
    units: np.ndarray,
    shares: Mapping[SplitName, float],
) -> dict[SplitName, float]:
    """The time from which on examples are in validation, and in the holdout.

    Each start is where the times change, nearest to the share of the examples, so that what has
    one time stays together.

    Args:
        found: What a source found, with times.
        positions: The examples to divide.
        units: The unit of each of `positions`; one goes where its latest example goes.
        shares: Share of validation and holdout, above 0.

    Raises:
        DataError: An example has no time, or there are fewer times than splits.
    """
    times = np.sort(latest_times(found, positions, units))
    # Places where another time begins.
    changes = np.flatnonzero(np.diff(times)) + 1
    if len(changes) < len(shares):
        raise DataError(
            f"{found.source}: the {len(times)} examples to split by time have "
            f"{len(changes) + 1} different times, too few for train and "
            f"{' and '.join(shares)}. Give finer times, "
            f"or set {' or '.join(f'data.{name}=0' for name in shares)}."
        )
    starts: dict[SplitName, float] = {}
    end = len(times)
    wanted: list[SplitName] = [name for name in ("holdout", "validation") if name in shares]
    for following, name in zip(reversed(range(len(wanted))), wanted, strict=True):
        # What follows needs a time of its own below this start.
        allowed = changes[following : np.searchsorted(changes, end)]
        aim = end - max(1, math.floor(len(times) * shares[name] + 0.5))
        end = int(allowed[np.argmin(np.abs(allowed - aim))])
        starts[name] = float(times[end])
    return starts


def latest_times(found: Found, positions: np.ndarray, units: np.ndarray) -> np.ndarray:
    """The time of each of `positions`, which is the latest of its unit.

    So an earlier example that looks like a later one goes with it, and training sees nothing
    from after the start of validation.

    Raises:
        DataError: An example has no time.
    """
    assert found.times is not None
    times = np.asarray(found.times, np.float64)[positions]
    without = [found.examples.ids[i] for i in positions[~np.isfinite(times)]]
    if without:
        raise DataError(
            f"{found.source}: {len(without)} of {len(times)} examples have no time: "
            f"{listed(without)}. Fill the column of data.split.time_column in, or remove them."
        )
    latest = np.full(len(units) and int(units.max()) + 1, -np.inf)
    np.maximum.at(latest, units, times)
    return latest[units]


def format_time(time: float) -> str:
    """A time as people read it: a date, with the time of day where it is not midnight (UTC)."""
    if not _SECONDS[0] <= time < _SECONDS[1]:
        return str(int(time)) if time.is_integer() else repr(time)
    moment = datetime.fromtimestamp(time, UTC)
    is_midnight = time % 86_400 == 0
    return moment.strftime("%Y-%m-%d" if is_midnight else "%Y-%m-%d %H:%M:%S")
