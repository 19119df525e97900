"""Keras callbacks: progress, history, refusal of losses that are no numbers, rate by plateau."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kft.data.batches.waiting import Waiting
from kft.errors import TrainingError
from kft.optimization.schedules import PhaseSchedule
from kft.runs.atomic import write_text

# A plateau: so many epochs in a row whose validation loss is not lower by this share.
PLATEAU_EPOCHS = 2
PLATEAU_GAIN = 1e-4
PLATEAU_FACTOR = 0.1


class ProgressCallback(keras.callbacks.Callback):
    """Tells a display how far a phase is, with its last figures."""

    def __init__(self, advance: Callable[..., None], total_steps: int) -> None:
        super().__init__()
        self._advance = advance
        self._total_steps = total_steps
        self._done = 0
        self._validation = ""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """One more step."""
        self._done += 1
        self._advance(self._done, self._total_steps, format_figures(logs or {}) + self._validation)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Validation figures stay beside the bar until there are newer ones."""
        validation = {k: v for k, v in (logs or {}).items() if k.startswith("val_")}
        self._validation = f"  {format_figures(validation)}" if validation else ""
        training = {k: v for k, v in (logs or {}).items() if not k.startswith("val_")}
        self._advance(self._done, self._total_steps, format_figures(training) + self._validation)

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Steps so far."""
        return {"done": self._done, "validation": self._validation}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        self._done, self._validation = state["done"], state["validation"]


def format_figures(figures: dict[str, float]) -> str:
    """'loss 0.412  accuracy 0.871'."""
    return "  ".join(
        f"{name.replace('val_', 'validation ')} {value:.3f}" for name, value in figures.items()
    )


class HistoryFile(keras.callbacks.Callback):
    """Writes history.csv anew after each epoch: one row an epoch, whole or not at all.

    Attributes:
        rows: What was written so far.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """One more row."""
        figures = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch + 1, **figures})
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self._path, text.getvalue())

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The rows."""
        return {"rows": self.rows}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on after them."""
        self.rows = list(state["rows"])


class RefuseDivergence(keras.callbacks.Callback):
    """Ends a phase whose loss is no longer a number.

    Raises:
        TrainingError: With the step, and what usually helps.
    """

    def __init__(self, phase: str, learning_rate: float) -> None:
        super().__init__()
        self._phase = phase
        self._learning_rate = learning_rate
        self._done = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the loss of the step."""
        self._done += 1
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingError(
                f"phase {self._phase!r}: the loss is {loss} after step {self._done}. Lower its "
                f"learning rate (now {self._learning_rate:g}), or set training.clip_norm."
            )

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Steps so far."""
        return {"done": self._done}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        self._done = state["done"]


class EndAfter(keras.callbacks.Callback):
    """Ends a phase at its last step, which need not be the last of an epoch."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps_left = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count one step."""
        self._steps_left -= 1
        if self._steps_left == 0:
            self.model.stop_training = True

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Steps to come."""
        return {"steps_left": self._steps_left}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on to the same last step."""
        self._steps_left = state["steps_left"]


class StepTimes(keras.callbacks.Callback):
    """Counts steps and their time, that of the first one apart: it holds the tracing.

    Args:
        begun: `time.monotonic()` when the phase began.
        waiting: What the steps wait for their batches, where that is measured.

    Attributes:
        first_seconds: From then to the end of the first step.
        num_done: Steps so far.
    """

    def __init__(self, begun: float, waiting: Waiting | None = None) -> None:
        super().__init__()
        self._begun = self._step_begun = begun
        self._waiting = waiting
        self._waited_first = 0.0
        self._later_seconds = 0.0
        self._is_traced = False
        self.first_seconds = 0.0
        self.num_done = 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """A step asks for its batch."""
        self._step_begun = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count one step."""
        now = time.monotonic()
        if not self.num_done:
            self.first_seconds = now - self._begun
        if not self._is_traced:
            self._is_traced = True
            self._waited_first = self._waiting.seconds if self._waiting is not None else 0.0
        else:
            self._later_seconds += now - self._step_begun
        self.num_done += 1

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Steps so far, and the time to the first."""
        return {"num_done": self.num_done, "first_seconds": self.first_seconds}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from them; what is waited for is measured anew."""
        self.num_done, self.first_seconds = state["num_done"], state["first_seconds"]

    @property
    def waiting_share(self) -> float | None:
        """Share of the time of all steps but the first in which they waited for data."""
        if self._waiting is None or not self._later_seconds:
            return None
        return (self._waiting.seconds - self._waited_first) / self._later_seconds


class ReduceOnPlateau(keras.callbacks.Callback):
    """Divides the rate by 10 when the validation loss has not fallen for two epochs.

    Epochs that end within the warmup set a mark but do not count against
    the rate: it has not been tried yet.

    Args:
        schedule: Of the optimizer; its peak stays, its factor falls.
    """

    def __init__(self, schedule: PhaseSchedule) -> None:
        super().__init__()
        self._schedule = schedule
        self._steps_done = 0
        self._best = math.inf
        self._wait_epochs = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count one step."""
        self._steps_done += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare the epoch with the best one so far."""
        loss = (logs or {}).get("val_loss", math.inf)
        if loss < self._best * (1 - PLATEAU_GAIN):
            self._best = loss
            self._wait_epochs = 0
            return
        if self._steps_done <= self._schedule.warmup_steps:
            return
        self._wait_epochs += 1
        if self._wait_epochs == PLATEAU_EPOCHS:
            self._schedule.scale(PLATEAU_FACTOR)
            self._wait_epochs = 0

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The best loss, and how long it stands; the factor is a variable of the schedule."""
        return {
            "steps_done": self._steps_done,
            "best": self._best,
            "wait_epochs": self._wait_epochs,
        }, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on waiting."""
        self._steps_done, self._best = state["steps_done"], state["best"]
        self._wait_epochs = state["wait_epochs"]
