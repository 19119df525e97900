"""The learning-rate range test: a short training whose rate rises until the loss explodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.errors import TrainingError

# Smoothing, end and first steps that are not read, as in fastai and PyTorch Lightning.
SMOOTHING = 0.98
EXPLOSION_FACTOR = 4.0
SKIPPED_STEPS = 10
# Where the smoothed loss is lowest, learning and instability balance: a tenth of that is cautious.
CAUTION = 10.0
# A fall of the smoothed loss by less than this share of it says nothing about rates.
LEAST_FALL = 0.05


@dataclass(frozen=True)
class RangeTest:
    """The curve of a range test, and the rates it suggests; all of them JSON values.

    Attributes:
        rates: Learning rate of each step, rising.
        losses: Loss of each step's batch.
        smoothed: The losses, smoothed.
        lowest: Rate at which the smoothed loss is lowest.
        suggestion: Rate at which it falls fastest; None if it shows no clear fall.
        cautious: A tenth of `lowest`, or the suggestion if that is lower.
        has_exploded: Whether the loss ended the test.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    lowest: float
    suggestion: float | None
    cautious: float | None
    has_exploded: bool

    def points(self) -> list[dict[str, Any]]:
        """One record per step of the curve."""
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
    """Train while the rate rises exponentially, and read a good rate off the loss.

    The model ends with the weights it had; its optimizer is used up: compile
    anew before fitting.

    Args:
        model: Compiled, and not fitted since.
        batches: (inputs, targets) of training; repeated where they are fewer
            than `steps`.
        low: First rate.
        high: Last rate.
        steps: Number of steps from low to high, at least 20.
        progress: Called after each step with the steps done and `steps`.

    Raises:
        TrainingError: The loss is not a number from the first steps on.

    Source: Smith, Cyclical Learning Rates, arXiv:1506.01186, section 3.3.
    """
    assert steps >= 2 * SKIPPED_STEPS and 0 < low < high
    before = [np.array(variable.numpy()) for variable in model.variables]
    # The decay is a rise: its factor is above 1.
    rise = keras.optimizers.schedules.ExponentialDecay(low, steps - 1, high / low)
    model.optimizer.learning_rate = rise
    losses: list[float] = []

    def watch(epoch: int, logs: dict[str, float]) -> None:
        losses.append(logs["loss"])
        progress(len(losses), steps)
        model.stop_training = _has_exploded(smooth(losses))

    try:
        # Epochs of one step: the loss that Keras reports is then the batch's own.
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
    """Exponential mean of the losses up to each step, corrected for its start at 0 as Adam's is."""
    mean, smoothed = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - SMOOTHING**step))
    return np.array(smoothed)


def _has_exploded(smoothed: np.ndarray) -> bool:
    """Whether the smoothed loss is not a number at last, or far above its best."""
    best = min(smoothed[SKIPPED_STEPS:], default=math.inf)
    return not math.isfinite(smoothed[-1]) or bool(smoothed[-1] > EXPLOSION_FACTOR * best)


def read_curve(rates: np.ndarray, losses: Sequence[float]) -> RangeTest:
    """Smooth a curve and read its suggestions; its first ten steps are not read.

    Beyond what is published, the fall must be clear: more than 5 % of the
    smoothed loss, and more than the losses of the first ten batches differ
    (their standard deviation). And the steepest place is not sought in the
    first quarter of the fall.

    Args:
        rates: Of each step, rising by one factor.
        losses: Of each step's batch.

    Raises:
        TrainingError: The loss is not a number from the first steps on.
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
        # A mean of few steps wobbles steeply: look where a quarter of the fall is done for good.
        begin = int(np.flatnonzero(read[: bottom + 1] >= read[0] - fall / 4)[-1])
        steepest = begin + int(np.argmin(np.gradient(read)[begin : bottom + 1]))
        # To two digits: more would pretend a precision that a curve does not have.
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
