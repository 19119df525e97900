"""Forecast of a run's duration, from forward passes timed on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from kft.config import FeaturesConfig
from kft.features import Cut
from kft.feeding.frozen_prefix import find_stored_cut
from kft.model import HEAD, Assembled, compile_forward, find_input_specs
from kft.planning.block_rows import BlockRow, describe_blocks
from kft.selection.blends import SHARES
from kft.strategies import Phase
from kft.strategies.phases import COMPUTED_FROM_INPUTS

# A backward pass costs about two forward ones: gradients by inputs and by weights.
TRAINING_FORWARDS = 3.0
# Shortest step in seconds: Keras's training loop around a dense head.
STORED_STEP_SECONDS = 0.004
# Time to solve a head, per example and parameter of the head, cross-validation included. Beyond
# LARGE_SOLUTION it is less, since large matrix products are faster and fewer folds are used.
SOLUTION_SECONDS = 1e-7
LARGE_SOLUTION_SECONDS = 1e-8
LARGE_SOLUTION = 1e8


@dataclass(frozen=True)
class PhaseForecast:
    """Forecast of one phase.

    Attributes:
        phase: The planned phase.
        computed_from: 'inputs', or the name of the cut whose activations are stored.
        rows: Effect on each block, shallow to deep.
        parameters: Number of parameters of the whole model.
        seconds: Approximate duration, from the forward pass timed on this machine;
            includes the trials of candidates.
    """

    phase: Phase
    computed_from: str
    rows: tuple[BlockRow, ...]
    parameters: int
    seconds: float

    @property
    def trainable_parameters(self) -> int:
        """Number of parameters that gradients change or that are solved for."""
        return sum(row.trainable_parameters for row in self.rows)


@dataclass(frozen=True)
class _Cost:
    """Seconds of a phase: before its first step, per step, per validation, and for all blends."""

    before: float
    step: float
    judging: float
    blending: float = 0.0

    def of(self, steps: int, epochs: int) -> float:
        return steps * self.step + epochs * self.judging


def forecast_phases(
    assembled: Assembled,
    phases: Sequence[Phase],
    *,
    features: FeaturesConfig,
    num_train: int,
    num_validation: int,
    global_batch_size: int,
) -> list[PhaseForecast]:
    """Forecast each phase; leaves the model's `trainable` flags as the last phase sets them.

    Args:
        assembled: The whole model.
        phases: The planned phases.
        features: The pipeline's `features` section.
        num_train: Number of training examples.
        num_validation: Number of validation examples.
        global_batch_size: Examples per step, on all replicas together.
    """
    forward = measure_forward_seconds(assembled.model, batch_size=min(16, global_batch_size))

    def find_phase_cut(phase: Phase) -> Cut | None:
        return find_stored_cut(
            assembled, phase, features, num_train=num_train, num_validation=num_validation
        )

    def find_cost(phase: Phase) -> _Cost:
        is_whole = "validation" in phase.learns_from
        num_learned = num_train + num_validation if is_whole else num_train
        num_judged = 0 if is_whole else num_validation
        num_plain = num_judged if phase.folds is None else num_judged + num_learned
        return _find_cost(
            phase,
            find_phase_cut(phase),
            forward=forward,
            batch_size=min(global_batch_size, num_train),
            num_stored=num_learned * phase.count_views(features) + num_plain,
            num_learned=num_learned,
            num_validation=num_judged,
            products=num_learned * assembled.blocks[HEAD].num_parameters,
        )

    forecasts = []
    for phase in phases:
        cut = find_phase_cut(phase)
        forecasts.append(
            PhaseForecast(
                phase,
                cut.name if cut else COMPUTED_FROM_INPUTS,
                describe_blocks(assembled, phase, cut),
                int(assembled.model.count_params()),
                _add_up(phase, find_cost),
            )
        )
    return forecasts


def _add_up(phase: Phase, find_cost: Callable[[Phase], _Cost]) -> float:
    """Seconds of a phase, including the trials of its candidates."""
    choice = phase.choice
    if phase.method == "solve":
        return find_cost(phase).before
    if not choice.candidates:
        cost, folds = find_cost(phase), phase.folds
        # Two folds are judged.
        tried = 0.0 if folds is None else cost.of(folds.steps, 0) + 2 / folds.count * cost.blending
        return cost.before + tried + cost.of(phase.fit.steps, phase.fit.epochs)
    # The first and the last: between them lie those that train one of the blocks in between.
    ends = [find_cost(candidate) for candidate in (choice.candidates[0], choice.candidates[-1])]
    # Of candidates that are tried in turn, one at the least.
    num_tried = 1 if choice.is_sequential else len(choice.candidates)
    trial = statistics.fmean(cost.of(choice.pilot_steps, 1) for cost in ends)
    chosen = max(cost.of(phase.fit.steps, phase.fit.epochs) for cost in ends)
    return max(cost.before for cost in ends) + num_tried * trial + chosen


def _find_cost(
    phase: Phase,
    cut: Cut | None,
    *,
    forward: float,
    batch_size: int,
    num_stored: int,
    num_learned: int,
    num_validation: int,
    products: int,
) -> _Cost:
    if cut is None:
        blending = len(SHARES) * forward * num_learned
        step = TRAINING_FORWARDS * forward * batch_size
        return _Cost(0.0, step, forward * num_validation, blending)
    stored = forward * num_stored
    if phase.method == "solve":
        return _Cost(stored + _forecast_solution(products), 0.0, 0.0)
    suffix = measure_forward_seconds(cut.suffix, batch_size=batch_size)
    step = max(STORED_STEP_SECONDS, TRAINING_FORWARDS * suffix * batch_size)
    blending = len(SHARES) * suffix * num_learned
    return _Cost(stored, step, suffix * num_validation, blending)


def _forecast_solution(products: int) -> float:
    few = min(products, LARGE_SOLUTION)
    return SOLUTION_SECONDS * few + LARGE_SOLUTION_SECONDS * (products - few)


def measure_forward_seconds(model: keras.Model, *, batch_size: int) -> float:
    """Median seconds per example of a model's forward pass on this machine."""
    inputs = {
        name: tf.zeros((batch_size, *spec.shape[1:]), spec.dtype)
        for name, spec in find_input_specs(model).items()
    }
    forward = compile_forward(model)
    forward(inputs)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        forward(inputs).numpy()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) / batch_size
