"""Keras callbacks: progress, history, divergence, length, step times and plateau schedule."""

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

# A plateau is this number of epochs in a row without a reduction of the validation loss by this
# share.
PLATEAU_EPOCHS = 2
PLATEAU_GAIN = 1e-4
PLATEAU_FACTOR = 0.1


class ProgressCallback(keras.callbacks.Callback):
    """Callback that reports the progress of a phase and its latest figures to a display."""

    def __init__(self, advance: Callable[..., None], total_steps: int) -> None:
        super().__init__()
        self._advance = advance
        self._total_steps = total_steps
        self._done = 0
        self._validation = ""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Report one more step."""
        self._done += 1
        self._advance(self._done, self._total_steps, format_figures(logs or {}) + self._validation)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Report validation figures, which stay beside the bar until there are newer ones."""
        validation = {k: v for k, v in (logs or {}).items() if k.startswith("val_")}
        self._validation = f"  {format_figures(validation)}" if validation else ""
        training = {k: v for k, v in (logs or {}).items() if not k.startswith("val_")}
        self._advance(self._done, self._total_steps, format_figures(training) + self._validation)

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Pack the number of steps taken."""
        return {"done": self._done, "validation": self._validation}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from the packed state."""
        self._done, self._validation = state["done"], state["validation"]


def format_figures(figures: dict[str, float]) -> str:
    """Format figures for a progress bar.

    >>> format_figures({"loss": 0.4123, "val_accuracy": 0.871})
    'loss 0.412  validation accuracy 0.871'
    """
    return "  ".join(
        f"{name.replace('val_', 'validation ')} {value:.3f}" for name, value in figures.items()
    )


class HistoryFile(keras.callbacks.Callback):
    """Callback that rewrites history.csv atomically after each epoch, with one row per epoch.

    Attributes:
        rows: Rows written so far.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add a row."""
        figures = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch + 1, **figures})
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self._path, text.getvalue())

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Pack the rows."""
        return {"rows": self.rows}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Continue after the packed rows."""
        self.rows = list(state["rows"])


class RefuseDivergence(keras.callbacks.Callback):
    """Callback that ends a phase whose loss is not finite.

    Raises:
        TrainingError: The loss of a step is not finite.
    """

    def __init__(self, phase: str, learning_rate: float) -> None:
        super().__init__()
        self._phase = phase
        self._learning_rate = learning_rate
        self._done = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Check the loss of the step."""
        self._done += 1
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingError(
                f"phase {self._phase!r}: the loss is {loss} after step {self._done}. Lower its "
                f"learning rate (now {self._learning_rate:g}), or set training.clip_norm."
            )

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Pack the number of steps taken."""
        return {"done": self._done}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from the packed state."""
        self._done = state["done"]


class EndAfter(keras.callbacks.Callback):
    """Callback that ends a phase at its last step, which may lie within an epoch."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps_left = steps

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Count one step."""
        self._steps_left -= 1
        if self._steps_left == 0:
            self.model.stop_training = True

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Pack the number of remaining steps."""
        return {"steps_left": self._steps_left}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Continue to the same last step."""
        self._steps_left = state["steps_left"]


class StepTimes(keras.callbacks.Callback):
    """Callback that counts and times steps, with the first step separate, since it is traced.

    Args:
        begun: `time.monotonic()` when the phase began.
        waiting: Measurement of the time that steps wait for their batches, if any.

    Attributes:
        first_seconds: Time from the beginning to the end of the first step.
        num_done: Number of steps taken.
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
        """Note the time at which a step begins."""
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
        """Pack the number of steps and the time of the first."""
        return {"num_done": self.num_done, "first_seconds": self.first_seconds}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from the packed state; waiting is measured from now on."""
        self.num_done, self.first_seconds = state["num_done"], state["first_seconds"]

    @property
    def waiting_share(self) -> float | None:
        """Share of the time, without the first step, that steps waited for data."""
        if self._waiting is None or not self._later_seconds:
            return None
        return (self._waiting.seconds - self._waited_first) / self._later_seconds


class ReduceOnPlateau(keras.callbacks.Callback):
    """Callback that divides the rate by 10 after two epochs without a lower validation loss.

    Epochs that end within the warmup may set the best loss, but do not count
    as epochs without improvement, because the peak has not been tried yet.

    Args:
        schedule: Schedule of the optimizer; its peak stays and its factor falls.
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
        """Compare the epoch with the best so far."""
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
        """Pack the best loss and the waiting time; the schedule's variables hold the factor."""
        return {
            "steps_done": self._steps_done,
            "best": self._best,
            "wait_epochs": self._wait_epochs,
        }, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Continue waiting."""
        self._steps_done, self._best = state["steps_done"], state["best"]
        self._wait_epochs = state["wait_epochs"]
