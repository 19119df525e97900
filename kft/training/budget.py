"""Time budget of a run: the seconds that are left, and what a step takes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import keras

# Share of the budget that is kept for saving, evaluation and export.
_RESERVE = 0.1


@dataclass
class Clock:
    """Clock of a run.

    Attributes:
        begun: `time.monotonic()` when this process began the run.
        earlier_seconds: Seconds of processes that were interrupted before.
    """

    begun: float = field(default_factory=time.monotonic)
    earlier_seconds: float = 0.0

    def find_left(self, budget_seconds: float | None) -> float:
        """Find the seconds of a budget that are left for training; infinite without a budget."""
        if budget_seconds is None:
            return math.inf
        used = time.monotonic() - self.begun + self.earlier_seconds
        return (1 - _RESERVE) * budget_seconds - used


class StepSeconds(keras.callbacks.Callback):
    """Callback that measures the mean time of steps; the first, which is traced, counts alone."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[float] = [time.monotonic()]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the end of a step."""
        self._ends.append(time.monotonic())

    @property
    def mean(self) -> float:
        """Mean time of the steps after the first; of the first if it is alone."""
        ends = self._ends[1:] if len(self._ends) > 2 else self._ends
        return (ends[-1] - ends[0]) / max(1, len(ends) - 1)
