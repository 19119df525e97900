"""Where a run is: written into checkpoints as it goes, and put back when it is resumed."""

from __future__ import annotations

import math
import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
import tensorflow as tf

from kft.model import Assembled
from kft.optimization.optimizers import block_rates
from kft.optimization.replicas import put_sums, take_sums
from kft.runs.checkpoints import Checkpoint, Checkpoints
from kft.selection.snapshots import find_weights, part_of
from kft.strategies import Phase
from kft.training.fitted import FittedPhase, resolve_phase
from kft.training.fitting import (
    CompiledPhase,
    find_generators,
)
from kft.training.stopping import Interrupted, StopRequest
from kft.workers import ALONE, Workers

Arrays = dict[str, np.ndarray]
# `auto`: a checkpoint may take one part in so many of the time, and the first is not at once.
_LEAST_SECONDS = 10.0
_TIMES_ITS_COST = 20.0
# Workers ask each other so often whether to stop or to write, which takes some milliseconds.
_QUESTION_SECONDS = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@runtime_checkable
class Resumable(Protocol):
    """A callback whose state a resumed run needs."""

    def pack(self) -> tuple[dict[str, Any], Arrays]:
        """JSON values and arrays."""

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Be as the one that packed them."""


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
        state = {"phases_done": len(fitted), "fitted": [_pack_fitted(each) for each in fitted]}
        self.checkpoints.write(state, self._take(), is_between_phases=True)

    def put_back(self, found: Checkpoint, phases: Sequence[Phase]) -> tuple[FittedPhase, ...]:
        """Give the model what it had after the phases of a checkpoint; returns these.

        Args:
            found: One from between phases.
            phases: As they are planned.
        """
        weights = find_weights(self.assembled.blocks, self.assembled.blocks.names)
        weights.put(weights.take() | part_of(found.arrays, "weights"))
        _assign(find_generators(self.assembled.model), "generator", found.arrays)
        fitted: list[FittedPhase] = []
        for phase, each in zip(phases, found.state["fitted"], strict=False):
            fitted.append(
                _unpack_fitted(resolve_phase(phase, fitted[-1] if fitted else None), each)
            )
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
        return arrays | _values(find_generators(self.assembled.model), "generator")


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
        self._steps = self._next_question = 0
        self._best_loss = math.inf
        self._pack_choice: Callable[[], tuple[dict[str, Any], Arrays]] = lambda: ({}, {})

    @property
    def stop(self) -> StopRequest:
        """What the system asks meanwhile."""
        return self._recorder.stop

    @property
    def choice(self) -> tuple[Mapping[str, Any], Arrays] | None:
        """What was chosen before the phase was interrupted; None where it begins."""
        if self._found is None:
            return None
        return self._found.state["choice"], part_of(self._found.arrays, "choice")

    def record_choice(self, pack: Callable[[], tuple[dict[str, Any], Arrays]]) -> None:
        """Have what was chosen so far written with each checkpoint."""
        self._pack_choice = pack

    def begin(self, compiled: CompiledPhase, callbacks: Iterable[Any]) -> tuple[int, bool]:
        """Put back what the phase had, if it goes on.

        Args:
            compiled: Not yet run.
            callbacks: All others.

        Returns:
            Steps that are done, and whether there are no more to do.
        """
        self._compiled = compiled
        self._resumables = {
            type(each).__name__: each for each in callbacks if isinstance(each, Resumable)
        }
        if self._found is None:
            return 0, False
        state, arrays = self._found.state, self._found.arrays
        compiled.weights.put(part_of(arrays, "weights"))
        _assign(self._generators, "generator", arrays)
        _assign(self._optimizer_variables, "optimizer", arrays)
        for name, callback in self._resumables.items():
            callback.unpack(state["callbacks"][name], part_of(arrays, f"callback/{name}"))
        compiled.begun -= state["seconds"]
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
        choice, choice_arrays = self._pack_choice()
        state: dict[str, Any] = {
            "phase": self._phase,
            "steps": self._steps,
            "is_over": bool(self.model.stop_training),
            "seconds": begun - self._compiled.begun,
            "best_loss": self._best_loss,
            "choice": choice,
            "callbacks": {},
        }
        arrays = {
            **{f"weights/{name}": v for name, v in self._compiled.weights.take().items()},
            **_values(self._generators, "generator"),
            **_values(self._optimizer_variables, "optimizer"),
            **{
                f"metric/{i:05d}": take_sums(variable, self._recorder.workers)
                for i, variable in enumerate(self.model.metrics_variables)
            },
            **{f"choice/{name}": values for name, values in choice_arrays.items()},
        }
        for name, callback in self._resumables.items():
            state["callbacks"][name], of_callback = callback.pack()
            arrays |= {f"callback/{name}/{key}": values for key, values in of_callback.items()}
        if self._recorder.workers.is_chief:
            self._recorder.checkpoints.write(state, arrays, is_best=is_best)
        self._pace.note_written(time.monotonic() - begun)

    @property
    def _is_within_epoch(self) -> bool:
        return self._steps % self._compiled.phase.fit.steps_per_epoch > 0

    @property
    def _generators(self) -> list[keras.Variable]:
        return find_generators(self._compiled.model)

    @property
    def _optimizer_variables(self) -> list[Any]:
        """Float16's wrapper and what it wraps included."""
        optimizer: Any = self._compiled.model.optimizer
        every = [*block_rates(optimizer).variables, *optimizer.variables]
        return list({id(variable): variable for variable in every}.values())


def _values(variables: Sequence[Any], kind: str) -> Arrays:
    return {f"{kind}/{i:05d}": np.array(v.numpy()) for i, v in enumerate(variables)}


def _assign(variables: Sequence[Any], kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    stored = part_of(arrays, kind)
    assert len(stored) == len(variables), f"{len(stored)} of {len(variables)} {kind} variables"
    for i, variable in enumerate(variables):
        values = stored[f"{i:05d}"]
        if values.dtype.kind == "V":
            # NumPy does not know bfloat16, and gave its bytes back.
            values = values.view(tf.as_dtype(variable.dtype).as_numpy_dtype)
        variable.assign(values)


def _pack_fitted(fitted: FittedPhase) -> dict[str, Any]:
    """JSON values; of the phase itself what may have been chosen among candidates."""
    packed = {each.name: getattr(fitted, each.name) for each in fields(fitted)}
    phase = fitted.phase
    rate = phase.fit.learning_rate if phase.method == "fit" else None
    chosen = {"learning_rate": rate, "trainable": list(phase.scope.trainable)}
    return {**packed, "phase": chosen, "facts": dict(fitted.facts)}


def _unpack_fitted(phase: Phase, packed: Mapping[str, Any]) -> FittedPhase:
    chosen = packed["phase"]
    was = replace(phase, scope=replace(phase.scope, trainable=tuple(chosen["trainable"])))
    if phase.method == "fit":
        was = was.at_rate(chosen["learning_rate"])
    return FittedPhase(**{**packed, "phase": was, "unmoved": tuple(packed["unmoved"])})
