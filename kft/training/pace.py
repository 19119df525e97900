"""When the next checkpoint is due."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable

# `auto`: a checkpoint may take one part in so many of the time, and the first is not at once.
_LEAST_SECONDS = 10.0
_TIMES_ITS_COST = 20.0


class Pace:
    """When the next checkpoint is due.

    Args:
        every: `auto`, so that they cost at most a twentieth of the time; `N steps`,
            `N seconds`, or `never`.
        clock: Seconds that rise.
    """

    def __init__(self, every: str, clock: Callable[[], float] = time.monotonic) -> None:
        found = re.fullmatch(r"(\d+) (steps|seconds)", every)
        self._steps = int(found[1]) if found and found[2] == "steps" else math.inf
        self._seconds = float(found[1]) if found and found[2] == "seconds" else math.inf
        if every == "auto":
            self._seconds = _LEAST_SECONDS
        self._is_auto = every == "auto"
        self._clock = clock
        self._last, self._steps_since = clock(), 0

    def count_step(self) -> None:
        """A step was taken."""
        self._steps_since += 1

    @property
    def is_due(self) -> bool:
        """Whether it is time to write one."""
        return self.is_due_by_steps or self._clock() - self._last >= self._seconds

    @property
    def is_due_by_steps(self) -> bool:
        """Whether so many steps were taken as are asked for; the same for all workers."""
        return self._steps_since >= self._steps

    def count_steps_of(self, seconds: float) -> int:
        """Steps that take about so long, by those since the last checkpoint; at least one."""
        elapsed = self._clock() - self._last
        return max(1, int(self._steps_since * seconds / elapsed)) if elapsed > 0 else 1

    def note_written(self, seconds: float) -> None:
        """One was written, in so many seconds."""
        self._last, self._steps_since = self._clock(), 0
        if self._is_auto:
            self._seconds = max(_LEAST_SECONDS, _TIMES_ITS_COST * seconds)
