"""Learning-rate schedules: their shapes, and a schedule that can be reset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.strategies import Phase
from kft.strategies.durations import resolve_warmup

# First and last rate as shares of the peak, as Smith and Topin use them.
ONE_CYCLE_FIRST = 1 / 25
ONE_CYCLE_LAST = 1 / 25e4
# Ratio of the peak to the lowest rate in ULMFiT.
SLANTED_RATIO = 32.0
STEP_FACTOR = 0.1

Shape = Callable[[Any, Any, Any], Any]


def constant(step: Any, steps: Any, warmup: Any) -> Any:
    """Keep the peak after a linear warmup."""
    return _warm_up(step, warmup, tf.ones_like(step))


def cosine(step: Any, steps: Any, warmup: Any) -> Any:
    """Decay along half a cosine from the peak, after a linear warmup, to zero at the end.

    Source: Loshchilov and Hutter, SGDR, arXiv:1608.03983, without restarts.
    """
    return _warm_up(step, warmup, _half_cosine(_share(step - warmup, steps - warmup)))


def one_cycle(step: Any, steps: Any, warmup: Any) -> Any:
    """Rise to the peak along a cosine during the warmup, then decay along another.

    The rate begins at 1/25 of the peak and ends at 1/250,000 of it. The
    authors also vary the momentum. Here it stays constant, because the rate
    gives most of the effect and AdamW's momentum is best left alone.

    Source: Smith and Topin, Super-Convergence, arXiv:1708.07120.
    """
    falling = _half_cosine(_share(step - warmup, steps - warmup))
    rising = _half_cosine(1 - _share(step, warmup))
    up = ONE_CYCLE_FIRST + (1 - ONE_CYCLE_FIRST) * rising
    down = ONE_CYCLE_LAST + (1 - ONE_CYCLE_LAST) * falling
    return tf.where(step < warmup, up, down)


def slanted_triangular(step: Any, steps: Any, warmup: Any) -> Any:
    """Rise linearly from 1/32 of the peak during the warmup, then fall linearly back to it.

    Source: Howard and Ruder, ULMFiT, arXiv:1801.06146, whose `cut_frac` of
    0.1 is a warmup of 10 percent.
    """
    share = tf.where(step < warmup, _share(step, warmup), 1 - _share(step - warmup, steps - warmup))
    return (1 + share * (SLANTED_RATIO - 1)) / SLANTED_RATIO


def step_decay(step: Any, steps: Any, warmup: Any) -> Any:
    """Divide the rate by ten at 30, 60 and 90 % of the steps, after a linear warmup.

    Source: Kolesnikov et al., Big Transfer, arXiv:1912.11370.
    """
    # Whole tenths of the steps, because 0.3 is not exact in binary.
    passed = sum(tf.cast(10 * step >= tenths * steps, step.dtype) for tenths in (3, 6, 9))
    return _warm_up(step, warmup, STEP_FACTOR**passed)


SHAPES: Mapping[str, Shape] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "slanted_triangular": slanted_triangular,
    "step": step_decay,
    # Constant until the callback `ReduceOnPlateau` scales it.
    "plateau": constant,
}
"""Name of a schedule -> function from step, steps and warmup steps to the share of the peak."""


class PhaseSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Schedule of one phase: a shape over its steps, times its peak rate.

    Peak and lengths are variables, so that one traced training step serves
    them all. Make the schedule in the scope of the run's distribution.

    Args:
        shape: A name from `SHAPES`.
        peak: Highest rate.
        steps: Number of steps, after which the rate keeps its last value.
        warmup_steps: Number of steps in which the rate rises, below `steps`.
    """

    def __init__(self, shape: str, *, peak: float, steps: int, warmup_steps: int) -> None:
        self.shape = shape
        self._peak = _number("peak_rate")
        self._steps = _number("schedule_steps")
        self._warmup_steps = _number("warmup_steps")
        self._factor = _number("rate_factor")
        self.reset(peak=peak, steps=steps, warmup_steps=warmup_steps)

    def __call__(self, step: Any) -> tf.Tensor:
        """Compute the rate of a step, counted from 0."""
        steps = tf.convert_to_tensor(self._steps.value)
        now = tf.minimum(tf.cast(step, "float32"), steps)
        warmup = tf.convert_to_tensor(self._warmup_steps.value)
        return self._peak.value * self._factor.value * SHAPES[self.shape](now, steps, warmup)

    @property
    def variables(self) -> list[keras.Variable]:
        """Variables that a checkpoint must hold."""
        return [self._peak, self._steps, self._warmup_steps, self._factor]

    @property
    def peak(self) -> float:
        """Highest rate."""
        return float(self._peak.numpy())

    @property
    def warmup_steps(self) -> int:
        """Number of steps in which the rate rises."""
        return int(self._warmup_steps.numpy())

    def reset(self, *, peak: float, steps: int, warmup_steps: int) -> None:
        """Restart with another peak and other lengths, without a new trace."""
        assert 0 <= warmup_steps < max(steps, 1), "resolve_warmup refuses a longer warmup"
        for variable, value in zip(self.variables, (peak, steps, warmup_steps, 1.0), strict=True):
            variable.assign(value)

    def scale(self, factor: float) -> None:
        """Multiply the rate by a factor from now on."""
        self._factor.assign(self._factor.numpy() * factor)


def make_schedule(config: TrainingConfig, phase: Phase, *, num_examples: int) -> PhaseSchedule:
    """Make the schedule of one phase.

    Args:
        config: The pipeline's `training` section.
        phase: Phase with its rate and steps.
        num_examples: Number of examples in the training split, for a warmup in examples.

    Raises:
        ConfigError: The warmup is not a duration, or is as long as the phase.
    """
    return PhaseSchedule(
        config.schedule,
        peak=phase.fit.learning_rate,
        steps=phase.fit.steps,
        warmup_steps=resolve_warmup(config, phase, num_examples=num_examples),
    )


def _number(name: str) -> keras.Variable:
    return keras.Variable(
        np.float32(0), trainable=False, name=name, aggregation="only_first_replica"
    )


def _warm_up(step: Any, warmup: Any, after: Any) -> Any:
    # The warmup starts at one step's share rather than zero, so that the first step has an effect.
    return tf.where(step < warmup, (step + 1) / (warmup + 1), after)


def _share(done: Any, of: Any) -> Any:
    """Compute the share that is done, in [0, 1]; 0 if there is nothing to do."""
    return tf.clip_by_value(tf.math.divide_no_nan(done, of), 0.0, 1.0)


def _half_cosine(share: Any) -> Any:
    """Map a share from 0 to 1 to half a cosine from 1 to 0."""
    return (1 + tf.cos(np.pi * share)) / 2
