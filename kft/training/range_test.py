"""Learning-rate range test: short training with a rising rate, until the loss explodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.errors import TrainingError

# Smoothing factor, loss ratio that ends the test, and first steps that are ignored, as in fastai
# and PyTorch Lightning.
SMOOTHING = 0.98
EXPLOSION_FACTOR = 4.0
SKIPPED_STEPS = 10
# At the lowest smoothed loss, training is about to become unstable. A tenth of that rate is safe.
CAUTION = 10.0
# A reduction of the smoothed loss by less than this share is no evidence about rates.
LEAST_FALL = 0.05


@dataclass(frozen=True)
class RangeTest:
    """Curve of a range test and the rates that it suggests, all JSON values.

    Attributes:
        rates: Learning rate of each step, rising.
        losses: Loss of each step's batch.
        smoothed: Smoothed losses.
        lowest: Rate at which the smoothed loss is lowest.
        suggestion: Rate at which the smoothed loss falls fastest; None without a clear fall.
        cautious: A tenth of `lowest`, or the suggestion if that is lower.
        has_exploded: Whether the loss exploded and ended the test.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    lowest: float
    suggestion: float | None
    cautious: float | None
    has_exploded: bool

    def points(self) -> list[dict[str, Any]]:
        """Return one record per step of the curve."""
        curve = zip(self.rates, self.losses, self.smoothed, strict=True)
        return [
            {"step": step, "rate": rate, "loss": loss, "smoothed_loss": smoothed}
            for step, (rate, loss, smoothed) in enumerate(curve)
        ]


def find_rate(
    model: keras.Model,
    batches: tf.data.Dataset,
    *,
    low: float,
    high: float,
    steps: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RangeTest:
    """Train while the rate rises exponentially, and read a good rate from the loss.

    The weights of the model are restored, but its optimizer is used up;
    compile the model again before fitting it.

    Args:
        model: Compiled model that has not been fitted since.
        batches: Training batches (inputs, targets), repeated if fewer than
            `steps`.
        low: First rate.
        high: Last rate.
        steps: Number of steps from low to high, at least 20.
        progress: Called after each step with the steps done and `steps`.

    Raises:
        TrainingError: The loss is not finite from the first steps on.

    Source: Smith, Cyclical Learning Rates, arXiv:1506.01186, section 3.3.
    """
    assert steps >= 2 * SKIPPED_STEPS and 0 < low < high
    before = [np.array(variable.numpy()) for variable in model.variables]
    # With a factor above 1, the decay is a rise.
    rise = keras.optimizers.schedules.ExponentialDecay(low, steps - 1, high / low)
    model.optimizer.learning_rate = rise
    losses: list[float] = []

    def watch(epoch: int, logs: dict[str, float]) -> None:
        losses.append(logs["loss"])
        progress(len(losses), steps)
        model.stop_training = _has_exploded(smooth(losses))

    try:
        # With one step per epoch, the loss that Keras reports is that of one batch.
        model.fit(
            batches.repeat(),
            steps_per_epoch=1,
            epochs=steps,
            verbose=0,
            shuffle=False,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=watch)],
        )
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
    return read_curve(np.geomspace(low, high, steps)[: len(losses)], losses)


def smooth(losses: Sequence[float]) -> np.ndarray:
    """Compute the exponential mean of losses up to each step, with Adam's bias correction."""
    mean, smoothed = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - SMOOTHING**step))
    return np.array(smoothed)


def _has_exploded(smoothed: np.ndarray) -> bool:
    """Tell whether the last smoothed loss is not finite, or far above the best."""
    best = min(smoothed[SKIPPED_STEPS:], default=math.inf)
    return not math.isfinite(smoothed[-1]) or bool(smoothed[-1] > EXPLOSION_FACTOR * best)


def read_curve(rates: np.ndarray, losses: Sequence[float]) -> RangeTest:
    """Smooth a curve and read suggested rates from it, ignoring its first ten steps.

    In addition to the published method, the fall must be clear: more than 5 %
    of the smoothed loss, and more than the standard deviation of the losses of
    the first ten batches. The first quarter of the fall is not searched for
    the steepest step.

    Args:
        rates: Rate of each step, rising by a constant factor.
        losses: Loss of each step's batch.

    Raises:
        TrainingError: The loss is not finite from the first steps on.
    """
    smoothed = smooth(losses)
    count = int(np.isfinite(smoothed).sum())
    if count < SKIPPED_STEPS + 2:
        raise TrainingError(
            f"range test: the loss is {losses[count]} at step {count + 1}, at a rate of "
            f"{rates[count]:.1e}. Check the data and the weights that training starts from."
        )
    read = smoothed[SKIPPED_STEPS:count]
    bottom = int(np.argmin(read))
    lowest = float(rates[SKIPPED_STEPS + bottom])
    fall = read[0] - read[bottom]
    suggestion = cautious = None
    if fall > max(LEAST_FALL * read[0], np.std(losses[:SKIPPED_STEPS])):
        # A mean of few steps fluctuates, so the search begins once a quarter of the fall is done.
        begin = int(np.flatnonzero(read[: bottom + 1] >= read[0] - fall / 4)[-1])
        steepest = begin + int(np.argmin(np.gradient(read)[begin : bottom + 1]))
        # Two digits, because a curve does not support more precision.
        suggestion = float(f"{rates[SKIPPED_STEPS + steepest]:.1e}")
        cautious = min(suggestion, float(f"{lowest / CAUTION:.1e}"))
    return RangeTest(
        rates=rates[:count].tolist(),
        losses=list(losses[:count]),
        smoothed=smoothed[:count].tolist(),
        lowest=lowest,
        suggestion=suggestion,
        cautious=cautious,
        has_exploded=_has_exploded(smoothed),
    )
