"""A phase that is ready to be fitted, any number of times: its training step is traced once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from kft.config import TrainingConfig
from kft.data.batches.waiting import Waiting
from kft.feeding.phase_input import PhaseInput
from kft.model import HEAD, Assembled
from kft.objectives import make_supervised
from kft.optimization.lora import add_lora, merge_lora
from kft.optimization.optimizers import block_rates, make_optimizer, reset_optimizer
from kft.optimization.replicas import spread
from kft.optimization.trainer import FitModel, WeightAverages
from kft.selection.snapshots import Snapshot, Weights, find_moving, part_of
from kft.strategies import Phase
from kft.strategies.durations import resolve_warmup
from kft.training.callbacks import EndAfter, ReduceOnPlateau, RefuseDivergence
from kft.training.epochs import OneTraining, plan_fits
from kft.training.movement import check_movement
from kft.training.payloads import (
    Payload,
    find_generators,
    find_optimizer_variables,
    put_values,
    take_values,
)
from kft.training.recording import PhaseRecorder


@dataclass
class CompiledPhase:
    """A phase that is ready to be fitted; `reset` and `run` again cost no trace.

    End it by `finish` or `discard`: both leave the model without low-rank factors.

    Attributes:
        assembled: Whose weights change.
        phase: What trains.
        config: The pipeline's `training` section.
        model: What is fitted; its layers are those of the assembled model.
        given: Batches.
        weights: What the phase may change.
        adapted: Layers that have low-rank factors.
        terms: What the loss is made of.
        begun: `time.monotonic()` when the compilation began.
        digests: Of every variable, before the phase.
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
        self._generators = find_generators(self.model)
        self._begin(self._schedule.warmup_steps)

    def _begin(self, warmup_steps: int) -> None:
        """Note what the phase starts from."""
        self.start = self.weights.take()
        self._first_states = [np.array(variable.numpy()) for variable in self._generators]
        self._traces_before = self.model.train_traces
        self._warmup_steps = warmup_steps

    @property
    def traces(self) -> int:
        """How often the training step was traced for this phase."""
        return self.model.train_traces - self._traces_before

    def take_over(
        self, phase: Phase, make_input: Callable[[Phase], PhaseInput], learnt_targets: np.ndarray
    ) -> bool:
        """Become the phase that follows, by the step that is traced; False if it needs another.

        Args:
            phase: That begins at the present weights.
            make_input: Gives its batches.
            learnt_targets: Of what it learns from.
        """
        is_same = phase.scope == self.phase.scope and phase.fit.has_step_of(self.phase.fit)
        if not is_same or phase.scope.lora is not None:
            return False
        if make_supervised(self.assembled.head, self.config, learnt_targets).terms != self.terms:
            return False
        begun, given = time.monotonic(), make_input(phase)
        if given.model is not self.given.model:
            return False
        self.begun, self.phase, self.given = begun, phase, given
        self.digests = self.assembled.blocks.digests()
        self._begin(resolve_warmup(self.config, phase, num_examples=len(learnt_targets)))
        self.restart()
        return True

    def run(
        self,
        *,
        steps: int | None = None,
        first_step: int = 0,
        is_validated: bool = True,
        callbacks: Sequence[Any] = (),
        waiting: Waiting | None = None,
        recorder: PhaseRecorder | None = None,
    ) -> None:
        """Fit for the steps of the phase, or fewer.

        Args:
            steps: At most those of the phase.
            first_step: Where in the phase's order of batches to begin.
            is_validated: Whether each epoch ends with a look at validation.
            callbacks: After kft's own, which end the run and refuse divergence.
            waiting: Measures how long the steps wait for their batches.
            recorder: Writes checkpoints, and says where to go on from.

        Raises:
            TrainingError: The loss is no number.
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
        validation, validation_steps = None, None
        if is_validated and self.given.validation is not None:
            validation = spread(self.given.validation.own)
            validation_steps = self.given.validation.num_batches
        deferred = nullcontext() if recorder is None else recorder.stop.deferred()
        with deferred:
            for part in [] if is_over else plan_fits(done, steps, fit.steps_per_epoch):
                batches = self.given.train(first_step + part.start)
                self.model.fit(
                    spread(batches if waiting is None else waiting.watch(batches)),
                    initial_epoch=part.epoch,
                    epochs=part.end_epoch,
                    steps_per_epoch=part.steps_per_epoch,
                    validation_data=validation,
                    validation_steps=validation_steps,
                    verbose=0,
                    # The order is the data set's own.
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

    def pack(self) -> Payload:
        """Weights, states of generators and of the optimizer, and the time that went by."""
        arrays = {f"weights/{name}": values for name, values in self.weights.take().items()}
        arrays |= take_values(self._generators, "generator")
        arrays |= take_values(find_optimizer_variables(self.model), "optimizer")
        return {"seconds": time.monotonic() - self.begun}, arrays

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from them."""
        self.weights.put(part_of(arrays, "weights"))
        put_values(self._generators, "generator", arrays)
        put_values(find_optimizer_variables(self.model), "optimizer", arrays)
        self.begun -= state["seconds"]

    def take(self) -> Snapshot:
        """The weights that validation sees: the present ones, or their moving averages."""
        with self.averages.in_place():
            return self.weights.take()

    def reset(self, *, learning_rate: float | None = None, steps: int | None = None) -> None:
        """Back to where the phase began, to the last bit, with another rate or length.

        Args:
            learning_rate: Peak; by default the phase's.
            steps: Of the schedule, by default the phase's; its warmup keeps its share of them.
        """
        self.weights.put(self.start)
        for variable, state in zip(self._generators, self._first_states, strict=True):
            variable.assign(state)
        self.restart(learning_rate=learning_rate, steps=steps)

    def restart(self, *, learning_rate: float | None = None, steps: int | None = None) -> None:
        """A fresh optimizer, as `reset` gives it, for the weights as they are."""
        fit = self.phase.fit
        steps = fit.steps if steps is None else steps
        reset_optimizer(
            self.model.optimizer,
            learning_rate=fit.learning_rate if learning_rate is None else learning_rate,
            steps=steps,
            warmup_steps=self._warmup_steps * steps // fit.steps,
        )

    def finish(self) -> tuple[str, ...]:
        """Merge what was added for the phase, and prove what moved.

        Returns and raises as `check_movement` does.
        """
        merge_lora(self.adapted)
        self.adapted = ()
        return check_movement(self.phase, self.digests, self.assembled.blocks)

    def discard(self) -> None:
        """Leave the model as it was before the phase."""
        self.reset()
        # The second factors are zero again, so that the merge adds nothing.
        merge_lora(self.adapted)
        self.adapted = ()


def compile_phase(
    assembled: Assembled,
    phase: Phase,
    config: TrainingConfig,
    make_input: Callable[[Phase], PhaseInput],
    *,
    learnt_targets: np.ndarray,
    pretrained: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> CompiledPhase:
    """Set what trains, and compile a fresh model for it; no step is taken yet.

    Args:
        assembled: The model; its `trainable` flags change, and a phase of
            low-rank factors puts them in until it ends.
        phase: What trains, how fast, how long.
        config: The pipeline's `training` section.
        make_input: Called once the flags are set.
        learnt_targets: Of what the phase learns from; see `make_supervised`.
        pretrained: See `make_optimizer`.

    Raises:
        ConfigError: A class that is to be weighed has no training example.
    """
    begun, scope, blocks = time.monotonic(), phase.scope, assembled.blocks
    objective = make_supervised(assembled.head, config, learnt_targets)
    digests = blocks.digests()
    adapted: tuple[keras.layers.Layer, ...] = ()
    if scope.lora is not None:
        backbone = [blocks[name] for name in scope.trainable if name != HEAD]
        adapted = add_lora(backbone, scope.lora, seed=config.seed)
    blocks.set_trainable(
        scope.trainable, batch_norm=scope.batch_norm, part=scope.part, lora=scope.lora
    )
    given = make_input(phase)
    model = FitModel(given.model.input, given.model.output, accumulation=config.accumulation)
    model.compile(
        optimizer=make_optimizer(
            config, phase, blocks, num_examples=len(learnt_targets), pretrained=pretrained
        ),
        loss=objective.loss,
        # Weights say which examples of a replica's part are there; without any all of them are.
        weighted_metrics=objective.metrics,
        # 'auto' has been measured by now, or means no: Keras's own choice is XLA, on CPU too.
        jit_compile=config.jit_compile is True,
    )
    # Built now: variables made inside the training step would have Keras trace it twice. What is
    # built is what `compile` made of it: in float16 a wrapper, which builds the optimizer in it.
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
