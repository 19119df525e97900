"""Where a run is: written into checkpoints as it goes, and put back when it is resumed."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kft.model import Assembled
from kft.optimization.replicas import put_sums, take_sums
from kft.runs.checkpoints import Checkpoint, Checkpoints
from kft.selection.snapshots import find_weights, part_of
from kft.strategies import Phase
from kft.training.fitted import FittedPhase, pack_fitted, resolve_phase, unpack_fitted
from kft.training.pace import Pace
from kft.training.payloads import (
    Arrays,
    Resumable,
    find_generators,
    find_payload,
    join_payloads,
    put_values,
    take_values,
)
from kft.training.stopping import Interrupted, StopRequest
from kft.workers import ALONE, Workers

# Workers ask each other so often whether to stop or to write, which takes some milliseconds.
_QUESTION_SECONDS = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Recorder:
    """Writes the checkpoints of a run, and puts one back.

    Attributes:
        assembled: The model; what it holds now is what the plan gave it.
        checkpoints: Of the run.
        stop: What the system asks meanwhile.
        every: `training.checkpoint_every`.
        workers: All processes of the run; the chief alone writes.
    """

    assembled: Assembled
    checkpoints: Checkpoints
    stop: StopRequest
    every: str = "auto"
    workers: Workers = ALONE

    def __post_init__(self) -> None:
        # What a phase did not change comes from the plan again.
        self._planned = self.assembled.blocks.digests()

    def record_phase(self, fitted: Sequence[FittedPhase]) -> None:
        """Write what the last phase ended with.

        Args:
            fitted: All phases that are done.

        Raises:
            RunError: It cannot be written.
        """
        if not self.workers.is_chief:
            return
        state = {"phases_done": len(fitted), "fitted": [pack_fitted(each) for each in fitted]}
        self.checkpoints.write(state, self._take(), is_between_phases=True)

    def put_back(self, found: Checkpoint, phases: Sequence[Phase]) -> tuple[FittedPhase, ...]:
        """Give the model what it had after the phases of a checkpoint; returns these.

        Args:
            found: One from between phases.
            phases: As they are planned.
        """
        weights = find_weights(self.assembled.blocks, self.assembled.blocks.names)
        weights.put(weights.take() | part_of(found.arrays, "weights"))
        put_values(find_generators(self.assembled.model), "generator", found.arrays)
        fitted: list[FittedPhase] = []
        for phase, each in zip(phases, found.state["fitted"], strict=False):
            fitted.append(unpack_fitted(resolve_phase(phase, fitted[-1] if fitted else None), each))
        return tuple(fitted)

    def within(self, phase: int, found: Checkpoint | None = None) -> PhaseRecorder:
        """What records one phase.

        Args:
            phase: Its number, from 0.
            found: Where it goes on; None to begin it.
        """
        return PhaseRecorder(self, phase, found)

    def _take(self) -> Arrays:
        """What differs from the plan."""
        digests, arrays = self.assembled.blocks.digests(), {}
        for block in self.assembled.blocks.blocks:
            planned, present = self._planned[block.name], digests[block.name]
            for name, values in find_weights(self.assembled.blocks, [block.name]).take().items():
                key = name.removeprefix(f"{block.name}/")
                if planned.get(key) != present[key]:
                    arrays[f"weights/{name}"] = values
        return arrays | take_values(find_generators(self.assembled.model), "generator")


class PhaseRecorder(keras.callbacks.Callback):
    """Writes checkpoints within a phase, and stops it where the system asks for that.

    The last of all callbacks: what it writes is what the others have made of a step.

    Args:
        recorder: Of the run.
        phase: Number of the phase, from 0.
        found: A checkpoint within the phase to go on from; None to begin it.
    """

    def __init__(self, recorder: Recorder, phase: int, found: Checkpoint | None) -> None:
        super().__init__()
        self._recorder = recorder
        self._phase = phase
        self._found = found
        self._pace = Pace(recorder.every)
        self._parts: dict[str, Resumable] = {}
        self._steps = self._next_question = 0
        self._steps_per_epoch = 1
        self._best_loss = math.inf

    @property
    def stop(self) -> StopRequest:
        """What the system asks meanwhile."""
        return self._recorder.stop

    def keep(self, name: str, part: Resumable) -> bool:
        """Have the state of a part written with each checkpoint.

        Args:
            name: Of the part, one within the phase.
            part: Whose state the phase needs to go on.

        Returns:
            Whether the phase goes on, and the part with it: it is as it was.
        """
        self._parts[name] = part
        if self._found is None:
            return False
        part.unpack(*find_payload(name, self._found.state["parts"], self._found.arrays))
        return True

    def begin(self, parts: Iterable[Any], steps_per_epoch: int) -> tuple[int, bool]:
        """Keep all that is to go on, and go on.

        Args:
            parts: Of the training; those that are `Resumable` are kept by the names of their types.
            steps_per_epoch: Of the phase.

        Returns:
            Steps that are done, and whether there are no more to do.
        """
        self._steps_per_epoch = steps_per_epoch
        for part in parts:
            if isinstance(part, Resumable):
                self.keep(type(part).__name__, part)
        if self._found is None:
            return 0, False
        state = self._found.state
        self._steps, self._best_loss = state["steps"], state["best_loss"]
        return self._steps, state["is_over"]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras begins the sums of an epoch anew: those of a part of it are put back."""
        if self._found is not None and self._is_within_epoch:
            sums = part_of(self._found.arrays, "metric")
            for i, variable in enumerate(self.model.metrics_variables):
                put_sums(variable, sums[f"{i:05d}"], self._recorder.workers)
        # Once only: later epochs begin at their beginning.
        self._found = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Write if it is time; the last step of an epoch waits for its validation."""
        self._steps += 1
        self._pace.count_step()
        if self._is_within_epoch and not self.model.stop_training:
            self._heed()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Give a long validation up, where nobody else waits for this process in it."""
        if self._recorder.stop.has_waited_long and self._recorder.workers.count == 1:
            raise Interrupted(self._recorder.stop.number or 0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write if it is time."""
        loss = (logs or {}).get("val_loss", math.nan)
        is_best = loss < self._best_loss
        self._best_loss = min(self._best_loss, loss) if is_best else self._best_loss
        self._heed(is_best=is_best)

    def _heed(self, *, is_best: bool = False) -> None:
        number, is_due = self._ask()
        if number is not None or is_due:
            self._write(is_best=is_best)
        if number is not None:
            raise Interrupted(number)

    def _ask(self) -> tuple[int | None, bool]:
        """The signal to stop for, and whether to write: of all workers at one step."""
        workers, number = self._recorder.workers, self._recorder.stop.number
        if workers.count == 1:
            return number, self._pace.is_due
        is_asked = self._steps >= self._next_question or self._pace.is_due_by_steps
        if self._is_within_epoch and not is_asked:
            return None, False
        votes = [int(number == asked) for asked in _SIGNALS]
        if workers.is_chief:
            votes += [self._pace.is_due, self._pace.count_steps_of(_QUESTION_SECONDS)]
        *asked, is_due, stride = workers.sum(np.array([*votes, 0, 0][:4], np.int64))
        self._next_question = self._steps + int(stride)
        signals = [each for each, count in zip(_SIGNALS, asked, strict=True) if count]
        return next(iter(signals), None), bool(is_due)

    def _write(self, *, is_best: bool) -> None:
        begun = time.monotonic()
        parts, arrays = join_payloads({name: part.pack() for name, part in self._parts.items()})
        state: dict[str, Any] = {
            "phase": self._phase,
            "steps": self._steps,
            "is_over": bool(self.model.stop_training),
            "best_loss": self._best_loss,
            "parts": parts,
        }
        arrays |= {
            f"metric/{i:05d}": take_sums(variable, self._recorder.workers)
            for i, variable in enumerate(self.model.metrics_variables)
        }
        if self._recorder.workers.is_chief:
            self._recorder.checkpoints.write(state, arrays, is_best=is_best)
        self._pace.note_written(time.monotonic() - begun)

    @property
    def _is_within_epoch(self) -> bool:
        return self._steps % self._steps_per_epoch > 0
