"""The learning rate as a function of the step: shapes, and a schedule that can be set anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.strategies import Phase
from kft.strategies.durations import resolve_warmup

# Smith and Topin begin far below the peak and end far below that: shares of the peak.
ONE_CYCLE_FIRST = 1 / 25
ONE_CYCLE_LAST = 1 / 25e4
# ULMFiT's ratio: how much smaller the lowest rate is than the peak.
SLANTED_RATIO = 32.0
STEP_FACTOR = 0.1

Shape = Callable[[Any, Any, Any], Any]


def constant(step: Any, steps: Any, warmup: Any) -> Any:
    """The peak, after a linear warmup."""
    return _warm_up(step, warmup, tf.ones_like(step))


def cosine(step: Any, steps: Any, warmup: Any) -> Any:
    """Half a cosine from the peak after a linear warmup to zero after the last step.

    Source: Loshchilov and Hutter, SGDR, arXiv:1608.03983, without restarts.
    """
    return _warm_up(step, warmup, _half_cosine(_share(step - warmup, steps - warmup)))


def one_cycle(step: Any, steps: Any, warmup: Any) -> Any:
    """Up to the peak along a cosine in the steps of the warmup, then down along another.

    Begins at 1/25 of the peak and ends at 1/250,000 of it. The momentum,
    which the authors let fall and rise, stays as it is: the rate alone gives
    most of the effect, and AdamW's momentum is best left alone.

    Source: Smith and Topin, Super-Convergence, arXiv:1708.07120.
    """
    falling = _half_cosine(_share(step - warmup, steps - warmup))
    rising = _half_cosine(1 - _share(step, warmup))
    up = ONE_CYCLE_FIRST + (1 - ONE_CYCLE_FIRST) * rising
    down = ONE_CYCLE_LAST + (1 - ONE_CYCLE_LAST) * falling
    return tf.where(step < warmup, up, down)


def slanted_triangular(step: Any, steps: Any, warmup: Any) -> Any:
    """Straight up from 1/32 of the peak in the steps of the warmup, then straight down to it.

    Source: Howard and Ruder, ULMFiT, arXiv:1801.06146, whose `cut_frac` of
    0.1 is a warmup of 10 percent.
    """
    share = tf.where(step < warmup, _share(step, warmup), 1 - _share(step - warmup, steps - warmup))
    return (1 + share * (SLANTED_RATIO - 1)) / SLANTED_RATIO


def step_decay(step: Any, steps: Any, warmup: Any) -> Any:
    """The peak after a linear warmup, a tenth of it each from 30, 60 and 90 % of the steps on.

    Source: Kolesnikov et al., Big Transfer, arXiv:1912.11370.
    """
    # Tenths of the steps, kept whole: 0.3 has no exact float.
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
"""Name of a schedule -> share of the peak at a step, of so many steps and warmup steps."""


class PhaseSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A shape over the steps of a phase, times its peak rate.

    Its numbers are variables: one traced training step serves every peak and
    every number of steps. Make it in the scope of the run's distribution.

    Args:
        shape: A name of `SHAPES`.
        peak: The highest rate.
        steps: Of the phase; the rate stays at its last value after them.
        warmup_steps: In which the rate rises; below `steps`.
    """

    def __init__(self, shape: str, *, peak: float, steps: int, warmup_steps: int) -> None:
        self.shape = shape
        self._peak = _number("peak_rate")
        self._steps = _number("schedule_steps")
        self._warmup_steps = _number("warmup_steps")
        self._factor = _number("rate_factor")
        self.reset(peak=peak, steps=steps, warmup_steps=warmup_steps)

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of a step, counted from 0."""
        steps = tf.convert_to_tensor(self._steps.value)
        now = tf.minimum(tf.cast(step, "float32"), steps)
        warmup = tf.convert_to_tensor(self._warmup_steps.value)
        return self._peak.value * self._factor.value * SHAPES[self.shape](now, steps, warmup)

    @property
    def variables(self) -> list[keras.Variable]:
        """What a checkpoint must hold."""
        return [self._peak, self._steps, self._warmup_steps, self._factor]

    @property
    def peak(self) -> float:
        """The highest rate."""
        return float(self._peak.numpy())

    @property
    def warmup_steps(self) -> int:
        """Steps in which the rate rises."""
        return int(self._warmup_steps.numpy())

    def reset(self, *, peak: float, steps: int, warmup_steps: int) -> None:
        """Begin anew with other numbers, without a new trace."""
        assert 0 <= warmup_steps < max(steps, 1), "resolve_warmup refuses it before"
        for variable, value in zip(self.variables, (peak, steps, warmup_steps, 1.0), strict=True):
            variable.assign(value)

    def scale(self, factor: float) -> None:
        """Multiply the rate by a factor from here on."""
        self._factor.assign(self._factor.numpy() * factor)


def make_schedule(config: TrainingConfig, phase: Phase, *, num_examples: int) -> PhaseSchedule:
    """The schedule of one phase.

    Args:
        config: The pipeline's `training` section.
        phase: Its rate and steps.
        num_examples: In the training split, for a warmup in examples.

    Raises:
        ConfigError: The warmup is no duration, or as long as the phase.
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
    # From one step's share rather than zero: the first step moves something.
    return tf.where(step < warmup, (step + 1) / (warmup + 1), after)


def _share(done: Any, of: Any) -> Any:
    """How much is done, in [0, 1]; where there is nothing to do, nothing is."""
    return tf.clip_by_value(tf.math.divide_no_nan(done, of), 0.0, 1.0)


def _half_cosine(share: Any) -> Any:
    """1 at 0, 0 at 1."""
    return (1 + tf.cos(np.pi * share)) / 2
