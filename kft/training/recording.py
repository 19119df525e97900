"""Recording of a run's progress in checkpoints, and its restoration."""

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
from kft.optimization.replicas import read_sums, restore_sums
from kft.runs.checkpoints import Checkpoint, Checkpoints
from kft.selection.snapshots import find_weights, part_of
from kft.strategies import Phase
from kft.training.fitted import FittedPhase, pack_fitted, unpack_fitted
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

# Interval at which workers agree on whether to stop or to write, which takes some milliseconds.
_VOTE_SECONDS = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Recorder:
    """Recorder that writes the checkpoints of a run and restores one.

    Attributes:
        assembled: The model, still with the weights of the plan.
        checkpoints: Checkpoints of the run.
        stop: Stop requests of the system.
        every: The setting `training.checkpoint_every`.
        workers: All processes of the run; only the chief writes.
    """

    assembled: Assembled
    checkpoints: Checkpoints
    stop: StopRequest
    every: str = "auto"
    workers: Workers = ALONE

    def __post_init__(self) -> None:
        # Weights that equal those of the plan are not written.
        self._planned = self.assembled.blocks.digests()

    def record_phase(self, fitted: Sequence[FittedPhase]) -> None:
        """Write a checkpoint after a phase.

        Args:
            fitted: Results of all phases so far.

        Raises:
            RunError: The checkpoint cannot be written.
        """
        if not self.workers.is_chief:
            return
        state = {"phases_done": len(fitted), "fitted": [pack_fitted(each) for each in fitted]}
        self.checkpoints.write(state, self._take(), is_between_phases=True)

    def put_back(self, found: Checkpoint, phases: Sequence[Phase]) -> tuple[FittedPhase, ...]:
        """Restore the model from a checkpoint.

        Args:
            found: Checkpoint from between phases.
            phases: The planned phases.

        Returns:
            The results of the phases before the checkpoint.

        Raises:
            RunError: The checkpoint belongs to another model or version of kft.
        """
        weights = find_weights(self.assembled.blocks, self.assembled.blocks.names)
        with found.restoring():
            weights.put(weights.take() | part_of(found.arrays, "weights"))
            put_values(find_generators(self.assembled.model), "generator", found.arrays)
            packed = found.state["fitted"]
            fitted = [unpack_fitted(*pair) for pair in zip(phases, packed, strict=False)]
        return tuple(fitted)

    def within(self, phase: int, found: Checkpoint | None = None) -> PhaseRecorder:
        """Make the recorder of one phase.

        Args:
            phase: Number of the phase, from 0.
            found: Checkpoint to continue from; None to begin the phase.
        """
        return PhaseRecorder(self, phase, found)

    def _take(self) -> Arrays:
        """Copy the weights that differ from the plan."""
        digests, arrays = self.assembled.blocks.digests(), {}
        for block in self.assembled.blocks.blocks:
            planned, present = self._planned[block.name], digests[block.name]
            for name, values in find_weights(self.assembled.blocks, [block.name]).take().items():
                key = name.removeprefix(f"{block.name}/")
                if planned.get(key) != present[key]:
                    arrays[f"weights/{name}"] = values
        return arrays | take_values(find_generators(self.assembled.model), "generator")


class PhaseRecorder(keras.callbacks.Callback):
    """Callback that writes checkpoints within a phase and stops it at the system's request.

    It must be the last callback, so that it writes the state after all others.

    Args:
        recorder: Recorder of the run.
        phase: Number of the phase, from 0.
        found: Checkpoint within the phase to continue from; None to begin the phase.
    """

    def __init__(self, recorder: Recorder, phase: int, found: Checkpoint | None) -> None:
        super().__init__()
        self._recorder = recorder
        self._phase = phase
        self._found = found
        self._pace = Pace(recorder.every)
        self._parts: dict[str, Resumable] = {}
        self._steps = self._next_vote = 0
        self._steps_per_epoch = 1
        self._best_loss = math.inf

    @property
    def stop(self) -> StopRequest:
        """Stop requests of the system."""
        return self._recorder.stop

    def keep(self, name: str, part: Resumable) -> bool:
        """Register a part whose state is written with each checkpoint.

        Args:
            name: Name of the part, unique within the phase.
            part: Part whose state is needed to continue the phase.

        Returns:
            Whether the phase is resumed, in which case the state of the part has been restored.

        Raises:
            RunError: The checkpoint belongs to another model or version of kft.
        """
        self._parts[name] = part
        if self._found is None:
            return False
        with self._found.restoring():
            part.unpack(*find_payload(name, self._found.state["parts"], self._found.arrays))
        return True

    def begin(self, parts: Iterable[Any], steps_per_epoch: int) -> tuple[int, bool]:
        """Register parts and continue from the checkpoint, if there is one.

        Args:
            parts: Parts of the training; those that are `Resumable` are registered by type name.
            steps_per_epoch: Number of steps per epoch of the phase.

        Returns:
            Number of steps taken, and whether the phase is over.
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
        """Restore the metric sums of a partial epoch, which Keras has reset."""
        if self._found is not None and self._is_within_epoch:
            sums = part_of(self._found.arrays, "metric")
            for i, variable in enumerate(self.model.metrics_variables):
                restore_sums(variable, sums[f"{i:05d}"], self._recorder.workers)
        # Only the first epoch is partial.
        self._found = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Write a checkpoint if due; after the last step of an epoch, validation comes first."""
        self._steps += 1
        self._pace.count_step()
        if self._is_within_epoch and not self.model.stop_training:
            self._write_or_stop()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Interrupt a long validation, unless other workers take part in it."""
        if self._recorder.stop.has_waited_long and self._recorder.workers.count == 1:
            raise Interrupted(self._recorder.stop.number or 0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write a checkpoint if due."""
        loss = (logs or {}).get("val_loss", math.nan)
        is_best = loss < self._best_loss
        self._best_loss = min(self._best_loss, loss) if is_best else self._best_loss
        self._write_or_stop(is_best=is_best)

    def _write_or_stop(self, *, is_best: bool = False) -> None:
        number, is_due = self._agree()
        if number is not None or is_due:
            self._write(is_best=is_best)
        if number is not None:
            raise Interrupted(number)

    def _agree(self) -> tuple[int | None, bool]:
        """Agree with all workers on the signal to stop for, if any, and on whether to write."""
        workers, number = self._recorder.workers, self._recorder.stop.number
        if workers.count == 1:
            return number, self._pace.is_due
        is_time = self._steps >= self._next_vote or self._pace.is_due_by_steps
        if self._is_within_epoch and not is_time:
            return None, False
        votes = [int(number == each) for each in _SIGNALS]
        if workers.is_chief:
            votes += [self._pace.is_due, self._pace.count_steps_of(_VOTE_SECONDS)]
        *counts, is_due, stride = workers.sum(np.array([*votes, 0, 0][:4], np.int64))
        self._next_vote = self._steps + int(stride)
        signals = [each for each, count in zip(_SIGNALS, counts, strict=True) if count]
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
            f"metric/{i:05d}": read_sums(variable, self._recorder.workers)
            for i, variable in enumerate(self.model.metrics_variables)
        }
        if self._recorder.workers.is_chief:
            self._recorder.checkpoints.write(state, arrays, is_best=is_best)
        self._pace.note_written(time.monotonic() - begun)

    @property
    def _is_within_epoch(self) -> bool:
        return self._steps % self._steps_per_epoch > 0
