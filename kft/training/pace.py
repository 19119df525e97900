"""Pace of checkpoints."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable

# With `auto`, the first checkpoint is due after some seconds, and later ones after a multiple of
# the time that writing one takes.
_LEAST_SECONDS = 10.0
_TIMES_ITS_COST = 20.0


class Pace:
    """Timer that tells when the next checkpoint is due.

    Args:
        every: `auto`, for checkpoints that take at most a twentieth of the time; `N steps`,
            `N seconds` or `never`.
        clock: Function that returns monotonic seconds.
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
        """Count a step."""
        self._steps_since += 1

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint is due."""
        return self.is_due_by_steps or self._clock() - self._last >= self._seconds

    @property
    def is_due_by_steps(self) -> bool:
        """Whether a checkpoint is due by the number of steps, which is the same on all workers."""
        return self._steps_since >= self._steps

    def count_steps_of(self, seconds: float) -> int:
        """Estimate the steps that fit into a time, from those since the last checkpoint.

        Returns:
            A number of steps, at least 1.
        """
        elapsed = self._clock() - self._last
        return max(1, int(self._steps_since * seconds / elapsed)) if elapsed > 0 else 1

    def note_written(self, seconds: float) -> None:
        """Note that a checkpoint was written, and how long that took."""
        self._last, self._steps_since = self._clock(), 0
        if self._is_auto:
            self._seconds = max(_LEAST_SECONDS, _TIMES_ITS_COST * seconds)
