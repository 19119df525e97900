"""Compiled phase, which can be fitted any number of times with one traced training step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.data.batches.waiting import Waiting
from kft.feeding.phase_input import PhaseInput
from kft.model import HEAD, Assembled
from kft.objectives import make_supervised
from kft.optimization.lora import add_lora, merge_lora
from kft.optimization.optimizers import block_rates, make_optimizer, reset_optimizer
from kft.optimization.replicas import distribute_batches
from kft.optimization.trainer import FitModel, WeightAverages
from kft.selection.snapshots import Snapshot, Weights, find_moving, part_of
from kft.strategies import Phase
from kft.strategies.durations import resolve_warmup
from kft.training import payloads
from kft.training.callbacks import EndAfter, ReduceOnPlateau, RefuseDivergence
from kft.training.epochs import OneTraining, plan_fits
from kft.training.movement import check_movement
from kft.training.recording import PhaseRecorder


@dataclass
class CompiledPhase:
    """Phase that is ready to be fitted; repeating `reset` and `run` needs no new trace.

    End it with `finish` or `discard`, which both leave the model without low-rank factors.

    Attributes:
        assembled: Model whose weights change.
        phase: Phase to fit.
        config: The pipeline's `training` section.
        model: Model to fit, with layers of the assembled model.
        given: Input of the phase.
        weights: Weights that the phase may change.
        adapted: Layers that have low-rank factors.
        terms: Terms of the loss.
        begun: `time.monotonic()` when the compilation began.
        digests: Digests of every variable before the phase.
    """

    assembled: Assembled
    phase: Phase
    config: TrainingConfig
    model: FitModel
    given: PhaseInput
    weights: Weights
    adapted: tuple[keras.layers.Layer, ...]
    terms: Any
    begun: float
    digests: dict[str, dict[str, bytes]]

    def __post_init__(self) -> None:
        self.averages = WeightAverages(self.model)
        self._schedule = block_rates(self.model.optimizer).schedule
        self._generators = payloads.find_generators(self.model)
        self._begin(self._schedule.warmup_steps)

    def _begin(self, warmup_steps: int) -> None:
        """Save the start of the phase."""
        self.start = self.weights.take()
        self._first_states = [np.array(variable.numpy()) for variable in self._generators]
        self._traces_before = self.model.train_traces
        self._warmup_steps, self._warmup_of = warmup_steps, self.phase.fit.steps

    @property
    def traces(self) -> int:
        """Number of traces of the training step for this phase."""
        return self.model.train_traces - self._traces_before

    def take_over(
        self, phase: Phase, make_input: Callable[[Phase], PhaseInput], learned_targets: np.ndarray
    ) -> bool:
        """Become the next phase and reuse the traced step; without change, False if it cannot.

        Args:
            phase: Phase that begins at the current weights.
            make_input: Function that makes the input of the phase.
            learned_targets: Targets of the examples that the phase trains on.
        """
        is_same = phase.scope == self.phase.scope and phase.fit.has_step_of(self.phase.fit)
        if not is_same or phase.scope.lora is not None:
            return False
        if make_supervised(self.assembled.head, self.config, learned_targets).terms != self.terms:
            return False
        begun, given = time.monotonic(), make_input(phase)
        if given.model is not self.given.model:
            return False
        self.begun, self.phase, self.given = begun, phase, given
        self.digests = self.assembled.blocks.digests()
        self._begin(resolve_warmup(self.config, phase, num_examples=len(learned_targets)))
        self.restart()
        return True

    def run(
        self,
        *,
        steps: int | None = None,
        first_step: int = 0,
        is_validated: bool = True,
        callbacks: Sequence[Any] = (),
        train: Callable[[int], tf.data.Dataset] | None = None,
        waiting: Waiting | None = None,
        recorder: PhaseRecorder | None = None,
    ) -> None:
        """Fit for the steps of the phase, or fewer.

        Args:
            steps: Number of steps, at most those of the phase.
            first_step: Step of the phase to begin at.
            is_validated: Whether each epoch ends with validation.
            callbacks: Callbacks after kft's own.
            train: Batches in place of those of the phase; see `PhaseInput.train`.
            waiting: Measurement of the time that steps wait for their batches.
            recorder: Recorder that writes checkpoints and knows the step to continue from.

        Raises:
            TrainingError: The loss is not finite.
        """
        fit = self.phase.fit
        steps = fit.steps - first_step if steps is None else steps
        assert 0 < steps <= fit.steps - first_step, "the batches end with the phase"
        every = [*self._own_callbacks(steps, is_validated=is_validated), *callbacks]
        done, is_over = 0, False
        if recorder is not None:
            done, is_over = recorder.begin([self, *every], fit.steps_per_epoch)
        once = OneTraining(every if recorder is None else [*every, recorder], self.model)
        once.begin()
        judged = self.given.validation if is_validated else None
        with nullcontext() if recorder is None else recorder.stop.deferred():
            for part in [] if is_over else plan_fits(done, steps, fit.steps_per_epoch):
                batches = (train or self.given.train)(first_step + part.start)
                self.model.fit(
                    distribute_batches(batches if waiting is None else waiting.watch(batches)),
                    initial_epoch=part.epoch,
                    epochs=part.end_epoch,
                    steps_per_epoch=part.steps_per_epoch,
                    validation_data=judged and distribute_batches(judged.own),
                    validation_steps=judged and judged.num_batches,
                    verbose=0,
                    # The data set is shuffled already.
                    shuffle=False,
                    callbacks=once,
                )
                if self.model.stop_training:
                    break
        once.end()

    def _own_callbacks(self, steps: int, *, is_validated: bool) -> list[Any]:
        falls = self.config.schedule == "plateau" and is_validated
        return [
            RefuseDivergence(self.phase.name, self._schedule.peak),
            EndAfter(steps),
            *([self.averages] if self.config.ema is not None else []),
            *([ReduceOnPlateau(self._schedule)] if falls else []),
        ]

    def pack(self) -> payloads.Payload:
        """Pack weights, states of generators and optimizer, and the elapsed time."""
        arrays = {f"weights/{name}": values for name, values in self.weights.take().items()}
        arrays |= payloads.take_values(self._generators, "generator")
        arrays |= payloads.take_values(payloads.find_optimizer_variables(self.model), "optimizer")
        return {"seconds": time.monotonic() - self.begun}, arrays

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the packed state."""
        self.weights.put(part_of(arrays, "weights"))
        payloads.put_values(self._generators, "generator", arrays)
        payloads.put_values(payloads.find_optimizer_variables(self.model), "optimizer", arrays)
        self.begun -= state["seconds"]

    def take(self) -> Snapshot:
        """Copy the weights that validation uses: the current ones, or their moving averages."""
        with self.averages.swapped_in():
            return self.weights.take()

    def reset(self, *, learning_rate: float | None = None, steps: int | None = None) -> None:
        """Restore the start of the phase bit for bit, with another rate or length.

        Args:
            learning_rate: Peak rate; by default the phase's.
            steps: Length of the schedule, by default the phase's; the warmup takes at most half.
        """
        self.weights.put(self.start)
        for variable, state in zip(self._generators, self._first_states, strict=True):
            variable.assign(state)
        self.restart(learning_rate=learning_rate, steps=steps)

    def restart(self, *, learning_rate: float | None = None, steps: int | None = None) -> None:
        """Reset the optimizer as `reset` does, but keep the current weights."""
        fit = self.phase.fit
        steps = fit.steps if steps is None else steps
        most_warmup = steps if steps >= self._warmup_of else steps // 2
        reset_optimizer(
            self.model.optimizer,
            learning_rate=fit.learning_rate if learning_rate is None else learning_rate,
            steps=steps,
            warmup_steps=min(self._warmup_steps, most_warmup),
        )

    def finish(self, loss: float | None) -> tuple[str, ...]:
        """Merge low-rank factors and check which variables changed.

        Args:
            loss: Training loss at the end of the phase; None if it took no step.

        Returns:
            Trainable variables that did not change; see `check_movement`.

        Raises:
            TrainingError: See `check_movement`.
        """
        merge_lora(self.adapted)
        self.adapted = ()
        return check_movement(self.phase, self.digests, self.assembled.blocks, loss=loss)

    def discard(self) -> None:
        """Restore the model from before the phase."""
        self.reset()
        # The second factors are zero again, so the merge adds nothing.
        merge_lora(self.adapted)
        self.adapted = ()


def compile_phase(
    assembled: Assembled,
    phase: Phase,
    config: TrainingConfig,
    make_input: Callable[[Phase], PhaseInput],
    *,
    learned_targets: np.ndarray,
    pretrained: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> CompiledPhase:
    """Set the trainable variables of a phase and compile a new model for it, without any step.

    Args:
        assembled: The model; its flags change, and low-rank factors stay in it until the end.
        phase: Phase to compile.
        config: The pipeline's `training` section.
        make_input: Function that makes the input, called once the flags are set.
        learned_targets: Targets of the examples that the phase trains on; see
            `make_supervised`.
        pretrained: See `make_optimizer`.

    Raises:
        ConfigError: A class that needs a weight or a prior has no training example.
    """
    begun, scope, blocks = time.monotonic(), phase.scope, assembled.blocks
    objective = make_supervised(assembled.head, config, learned_targets)
    digests = blocks.digests()
    adapted: tuple[keras.layers.Layer, ...] = ()
    if scope.lora is not None:
        backbone = [blocks[name] for name in scope.trainable if name != HEAD]
        adapted = add_lora(backbone, scope.lora, seed=config.seed)
    blocks.set_trainable(
        scope.trainable, batch_norm=scope.batch_norm, part=scope.part, lora=scope.lora
    )
    given = make_input(phase)
    model = FitModel(*given.graph, accumulation=config.accumulation)
    model.compile(
        optimizer=make_optimizer(
            config, phase, blocks, num_examples=len(learned_targets), pretrained=pretrained
        ),
        loss=objective.loss,
        # Sample weights mark padding in the share of a replica; without weights there is none.
        weighted_metrics=objective.metrics,
        # 'auto' has been resolved by measuring, or means no. Keras would choose XLA, on CPU too.
        jit_compile=config.jit_compile is True,
    )
    # Variables made inside the training step would make Keras trace it twice, so they are built
    # now. In float16, `model.optimizer` is a wrapper, which builds the optimizer inside it.
    model.optimizer.build(model.trainable_variables)
    model.build_metrics(given.targets)
    return CompiledPhase(
        assembled,
        phase,
        config,
        model,
        given,
        weights=find_moving(blocks, phase),
        adapted=adapted,
        terms=objective.terms,
        begun=begun,
        digests=digests,
    )
