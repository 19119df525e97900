"""Phases -> a fitted model: one `model.fit` per phase, and proof of what it moved."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.data.batches.waiting import Waiting
from kft.display import Display
from kft.feeding.phase_input import PhaseInput
from kft.model import HEAD, Assembled
from kft.objectives import make_supervised
from kft.optimization.lora import add_lora, merge_lora
from kft.optimization.optimizers import block_rates, make_optimizer, reset_optimizer
from kft.optimization.replicas import spread
from kft.optimization.trainer import FitModel, WeightAverages
from kft.runs.atomic import write_json
from kft.selection.snapshots import Snapshot, Weights, find_moving
from kft.strategies import Phase
from kft.strategies.durations import resolve_warmup
from kft.training.callbacks import (
    EndAfter,
    HistoryFile,
    ProgressCallback,
    ReduceOnPlateau,
    RefuseDivergence,
    StepTimes,
)
from kft.training.epochs import OneTraining, plan_fits
from kft.training.fitted import FittedPhase, describe_phase
from kft.training.movement import check_movement

if TYPE_CHECKING:
    from kft.training.recording import PhaseRecorder


@dataclass
class CompiledPhase:
    """A phase that is ready to be fitted, any number of times.

    Its training step is traced once; `reset` and `run` again cost no trace.
    End it by `finish` or `discard`: both leave the model without factors.

    Attributes:
        assembled: Whose weights change.
        phase: What trains.
        config: The pipeline's `training` section.
        model: What is fitted; its layers are those of the assembled model.
        given: Batches.
        weights: What the phase may change.
        start: Their values before the first step.
        begun: `time.monotonic()` when the compilation began.
        adapted: Layers that have low-rank factors for the phase.
        digests: Of every variable, before the phase.
        terms: What the loss is made of, by what the phase learns from.
    """

    assembled: Assembled
    phase: Phase
    config: TrainingConfig
    model: FitModel
    given: PhaseInput
    weights: Weights
    start: Snapshot
    begun: float
    adapted: tuple[keras.layers.Layer, ...]
    digests: dict[str, dict[str, bytes]]
    terms: Any

    def __post_init__(self) -> None:
        self._traces_before = 0
        self.averages = WeightAverages(self.model)
        self._schedule = block_rates(self.model.optimizer).schedule
        self._warmup_steps = self._schedule.warmup_steps
        self._generators = [(v, v.numpy()) for v in find_generators(self.model)]

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
            make_input: As of `compile_phase`.
            learnt_targets: As of `compile_phase`.
        """
        if phase.scope.lora is not None or phase.scope != self.phase.scope:
            return False
        if not phase.fit.has_step_of(self.phase.fit):
            return False
        if make_supervised(self.assembled.head, self.config, learnt_targets).terms != self.terms:
            return False
        begun, given = time.monotonic(), make_input(phase)
        if given.model is not self.given.model:
            return False
        self.begun, self.phase, self.given = begun, phase, given
        self.start, self.digests = self.weights.take(), self.assembled.blocks.digests()
        self._traces_before = self.model.train_traces
        self._generators = [(v, v.numpy()) for v, _ in self._generators]
        self._warmup_steps = resolve_warmup(self.config, phase, num_examples=len(learnt_targets))
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
        steps = self.phase.fit.steps - first_step if steps is None else steps
        assert 0 < steps <= self.phase.fit.steps - first_step, "the batches end with the phase"
        own = [RefuseDivergence(self.phase.name, self._schedule.peak), EndAfter(steps)]
        if self.config.ema is not None:
            own.append(self.averages)
        if self.config.schedule == "plateau" and is_validated:
            own.append(ReduceOnPlateau(self._schedule))
        every = [*own, *callbacks]
        done, is_over = (0, False) if recorder is None else recorder.begin(self, every)
        once = OneTraining(every if recorder is None else [*every, recorder], self.model)
        once.begin()
        validation, validation_steps = None, None
        if is_validated and self.given.validation is not None:
            validation = spread(self.given.validation.own)
            validation_steps = self.given.validation.num_batches
        deferred = nullcontext() if recorder is None else recorder.stop.deferred()
        with deferred:
            for part in [] if is_over else plan_fits(done, steps, self.phase.fit.steps_per_epoch):
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
        for variable, state in self._generators:
            variable.assign(state)
        self.restart(learning_rate=learning_rate, steps=steps)

    def restart(self, *, learning_rate: float | None = None, steps: int | None = None) -> None:
        """A fresh optimizer, as `reset` gives it, for the weights as they are."""
        steps = self.phase.fit.steps if steps is None else steps
        reset_optimizer(
            self.model.optimizer,
            learning_rate=self.phase.fit.learning_rate if learning_rate is None else learning_rate,
            steps=steps,
            warmup_steps=self._warmup_steps * steps // self.phase.fit.steps,
        )

    def finish(self) -> tuple[str, ...]:
        """Merge what was added for the phase, and prove what moved.

        Returns:
            Trainable variables that stayed, which a zero gradient explains.

        Raises:
            TrainingError: A variable moved that should rest, or a trainable
                block did not move at all.
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
        pretrained: As of `make_optimizer`.

    Raises:
        ConfigError: A class that is to be weighed has no training example.
    """
    begun, scope = time.monotonic(), phase.scope
    objective = make_supervised(assembled.head, config, learnt_targets)
    digests = assembled.blocks.digests()
    adapted: tuple[keras.layers.Layer, ...] = ()
    if scope.lora is not None:
        blocks = [assembled.blocks[name] for name in scope.trainable if name != HEAD]
        adapted = add_lora(blocks, scope.lora, seed=config.seed)
    assembled.blocks.set_trainable(
        scope.trainable, batch_norm=scope.batch_norm, part=scope.part, lora=scope.lora
    )
    given = make_input(phase)
    model = FitModel(given.model.input, given.model.output, accumulation=config.accumulation)
    model.compile(
        optimizer=make_optimizer(
            config,
            phase,
            assembled.blocks,
            num_examples=len(learnt_targets),
            pretrained=pretrained,
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
    weights = find_moving(assembled.blocks, phase)
    return CompiledPhase(
        assembled,
        phase,
        config,
        model,
        given,
        weights=weights,
        start=weights.take(),
        begun=begun,
        adapted=adapted,
        digests=digests,
        terms=objective.terms,
    )


def fit_compiled(
    compiled: CompiledPhase,
    *,
    folder: Path,
    display: Display,
    title: str,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    choose_weights: Callable[[], bool] = lambda: True,
    first_step: int = 0,
    facts: Mapping[str, Any] = MappingProxyType({}),
    recorder: PhaseRecorder | None = None,
) -> FittedPhase:
    """Train the phase's blocks, and prove that they moved and nothing else did.

    Args:
        compiled: From `compile_phase`; perhaps tried before, and reset.
        folder: Where history.csv, phase.json and TensorBoard's files go.
        display: Shows the progress.
        title: Of the progress bar.
        callbacks: Called after kft's own.
        choose_weights: Called after the last step, while low-rank factors are
            still weights of their own: to put others in the place of the last
            ones. False to undo the phase.
        first_step: How many of the phase's steps a trial has taken already.
        facts: What phase.json is to hold besides; `choose_weights` may add to it.
        recorder: As of `CompiledPhase.run`.

    Raises:
        TrainingError: The loss is no number, a frozen block moved, or a
            trainable one did not.
    """
    phase = compiled.phase
    history = HistoryFile(folder / "history.csv")
    # Several replicas are fed ahead by a stage of their own, so that nothing can be measured here.
    is_alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
    waiting = Waiting() if is_alone else None
    steps = StepTimes(compiled.begun, waiting)
    num_steps = phase.fit.steps - first_step
    with display.track(title, num_steps) as advance:
        compiled.run(
            first_step=first_step,
            callbacks=[
                steps,
                history,
                ProgressCallback(advance, num_steps),
                keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
                *callbacks,
            ],
            waiting=waiting,
            recorder=recorder,
        )
    is_chosen = choose_weights()
    unmoved: tuple[str, ...] = ()
    if is_chosen:
        unmoved = compiled.finish()
    else:
        compiled.discard()
    fitted = FittedPhase(
        phase,
        history.rows,
        seconds=time.monotonic() - compiled.begun,
        computed_from=compiled.given.computed_from,
        unmoved=unmoved,
        first_step_seconds=steps.first_seconds,
        steps_done=first_step + steps.num_done,
        traces=compiled.traces,
        waiting_share=steps.waiting_share,
        is_undone=not is_chosen,
        facts=facts,
    )
    write_json(folder / "phase.json", describe_phase(fitted))
    return fitted


def find_generators(model: keras.Model) -> list[keras.Variable]:
    """States of random generators: variables of the model that are no weights."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
