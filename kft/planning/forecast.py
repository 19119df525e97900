"""What a run will cost, told before it is spent."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from kft.features import find_cut
from kft.model import Assembled, compile_forward
from kft.strategies import Phase

# Backward passes cost about two forward ones: gradients by inputs and by weights.
TRAINING_FORWARDS = 3.0
# What a step costs at the least, in seconds: Keras's loop around a dense head.
STORED_STEP_SECONDS = 0.004


@dataclass(frozen=True)
class PhaseForecast:
    """What one phase will do and take.

    Attributes:
        phase: As planned.
        computed_from: 'pixels', or the name of the cut whose activations are stored.
        trainable_parameters: Numbers that gradients change.
        parameters: Numbers in all.
        seconds: About; from the forward time measured on this machine.
    """

    phase: Phase
    computed_from: str
    trainable_parameters: int
    parameters: int
    seconds: float


def forecast_phases(
    assembled: Assembled,
    phases: Sequence[Phase],
    *,
    num_train: int,
    num_validation: int,
    global_batch_size: int,
) -> list[PhaseForecast]:
    """A forecast for each phase; the model's `trainable` flags are left as the last one sets them.

    Args:
        assembled: The model.
        phases: As planned.
        num_train: Training examples.
        num_validation: Validation examples.
        global_batch_size: Examples per step.
    """
    forward = measure_forward_seconds(assembled.model, batch_size=min(16, global_batch_size))
    forecasts = []
    for phase in phases:
        assembled.blocks.set_trainable(phase.trainable, batch_norm=phase.batch_norm)
        cut = find_cut(assembled, phase.trainable) if phase.augmentation == "none" else None
        if cut is None:
            images = phase.steps * min(global_batch_size, num_train)
            seconds = forward * (TRAINING_FORWARDS * images + phase.epochs * num_validation)
        else:
            suffix = measure_forward_seconds(cut.suffix, batch_size=global_batch_size)
            seconds = forward * (num_train + num_validation) + phase.steps * max(
                STORED_STEP_SECONDS, TRAINING_FORWARDS * suffix * global_batch_size
            )
        forecasts.append(
            PhaseForecast(
                phase,
                cut.name if cut else "pixels",
                sum(int(np.prod(v.shape)) for v in assembled.model.trainable_variables),
                int(assembled.model.count_params()),
                seconds,
            )
        )
    return forecasts


def measure_forward_seconds(model: keras.Model, *, batch_size: int) -> float:
    """Median seconds an example of a model's forward pass on this machine."""
    inputs = tf.zeros((batch_size, *model.input_shape[1:]))
    forward = compile_forward(model)
    forward(inputs)
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        forward(inputs).numpy()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds) / batch_size
