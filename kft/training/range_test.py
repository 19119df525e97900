"""The learning-rate range test: a short training whose rate grows until the loss explodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.errors import TrainingError

# The loss has exploded at so many times its best value, if it is above where it began too.
EXPLOSION_FACTOR = 4.0
# Width of the smoothing, in decades of the rate, either side. Without lag, unlike a running mean.
SMOOTHING_DECADES = 0.2
# Of the running mean that watches for the explosion: about five steps.
_WATCH_MOMENTUM = 0.8
# A fall of the smoothed loss by less than so many of its standard errors is chance.
_CERTAIN_FALL = 4.0
# At the minimum of the curve learning and instability balance: a tenth of that rate is cautious.
_CAUTION = 10.0


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    Attributes:
        rates: Of each step until the loss exploded or the range ended, rising.
        losses: Of each step's batch.
        smoothed: Of the losses, freed from how hard each batch is.
        lowest: Rate where the smoothed loss is lowest.
        suggestion: The rate to train with.
        cautious: A lower one, for training that turns out restless.
        is_conclusive: Whether the loss fell by more than chance; if not, the
            suggestion says only which rates do no harm.
        has_exploded: Whether the test ended by the loss.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    lowest: float
    suggestion: float
    cautious: float
    is_conclusive: bool
    has_exploded: bool

    def describe(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "suggestion": self.suggestion,
            "is_conclusive": self.is_conclusive,
            "cautious": self.cautious,
            "lowest": self.lowest,
            "has_exploded": self.has_exploded,
            "rates": [float(rate) for rate in self.rates],
            "losses": [float(loss) if math.isfinite(loss) else None for loss in self.losses],
            "smoothed": [float(loss) for loss in self.smoothed],
        }

    def points(self) -> list[dict[str, Any]]:
        """A record a step of the curve, as JSON values."""
        curve = self.describe()
        names = {"rate": "rates", "loss": "losses", "smoothed_loss": "smoothed"}
        return [
            {"step": step, **{name: curve[whole][step] for name, whole in names.items()}}
            for step in range(len(self.rates))
        ]


class ExponentialRise(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that grows by one factor from step to step.

    Args:
        low: Of the first step.
        high: Of the last.
        steps: From low to high, at least 2.
    """

    def __init__(self, low: float, high: float, steps: int) -> None:
        self.low, self.high, self.steps = low, high, steps

    def __call__(self, step: Any) -> Any:
        """The rate of a step, counted from 0."""
        progress = keras.ops.cast(step, "float32") / (self.steps - 1)
        return self.low * keras.ops.power(self.high / self.low, progress)

    def get_config(self) -> dict[str, float | int]:
        """What makes it again."""
        return {"low": self.low, "high": self.high, "steps": self.steps}


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

    Losses of single batches vary with how hard the batch is, far more than by
    what one step teaches. So each batch is judged by the untouched model
    first, and the part of its loss that this explains is taken off.

    The model ends with the weights it had; its optimizer is used up: compile
    anew before fitting.

    Args:
        model: Compiled, and not fitted since.
        batches: (inputs, targets) of training, the same whenever they are
            read; repeated where they are fewer than `steps`.
        low: First rate.
        high: Last rate.
        steps: Of the whole range, at least 10.
        progress: Told how many steps are done of how many, judging included.

    Raises:
        TrainingError: The loss is no number from the first steps on.

    Source: Smith, Cyclical Learning Rates, arXiv:1506.01186, section 3.3.
    """
    assert steps >= 10 and 0 < low < high
    batches = batches.repeat().take(steps)
    before = [np.array(variable.numpy()) for variable in model.variables]
    judged = _LossOfEachBatch(lambda done: progress(done, 2 * steps))
    model.evaluate(batches, steps=steps, verbose=0, callbacks=[judged])
    hardness = np.array(judged.losses)
    model.optimizer.learning_rate = ExponentialRise(low, high, steps)
    watched = _EndAtExplosion(hardness, lambda done: progress(steps + done, 2 * steps))
    try:
        model.fit(
            batches, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False, callbacks=[watched]
        )
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
    progress(2 * steps, 2 * steps)
    rates = low * (high / low) ** (np.arange(len(watched.losses)) / (steps - 1))
    return read_curve(rates, np.array(watched.losses), hardness, has_exploded=watched.has_exploded)


class _LossOfEachBatch(keras.callbacks.Callback):
    """Notes the loss of every batch; Keras's own figure is a mean over the epoch so far."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        super().__init__()
        self._progress = progress
        self.losses: list[float] = []

    def on_test_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Forget the batches before."""
        self.model.reset_metrics()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Note the loss."""
        self.note(logs)

    def note(self, logs: dict[str, float] | None) -> None:
        """One more loss."""
        self.losses.append(float((logs or {})["loss"]))
        self._progress(len(self.losses))


class _EndAtExplosion(_LossOfEachBatch):
    """Notes losses in training, and ends it when they explode."""

    def __init__(self, hardness: np.ndarray, progress: Callable[[int], None]) -> None:
        super().__init__(progress)
        self._hardness = hardness
        self._start = float(np.mean(hardness))
        self._mean = self._best = self._start
        self.has_exploded = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Forget the batches before."""
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Note the loss; end if it is no number, or too high for too long."""
        self.note(logs)
        eased = self.losses[-1] - (self._hardness[batch] - self._start)
        self._mean = _WATCH_MOMENTUM * self._mean + (1 - _WATCH_MOMENTUM) * eased
        self._best = min(self._best, self._mean)
        limit = max(EXPLOSION_FACTOR * self._best, self._start)
        if not math.isfinite(self._mean) or self._mean > limit:
            self.has_exploded = True
            self.model.stop_training = True


def read_curve(
    rates: np.ndarray, losses: np.ndarray, hardness: np.ndarray, *, has_exploded: bool
) -> RangeTest:
    """The smoothed curve and what it suggests.

    The suggestion is the rate at which the smoothed loss falls fastest for a
    given factor on the rate; the cautious one is a tenth of the rate where
    the loss is lowest, if that is less. Where the loss nowhere falls by more
    than chance, both are a tenth of the highest rate at which it has not risen.

    Args:
        rates: Of each step, rising.
        losses: Of each step's batch.
        hardness: Loss of each batch under the first weights, at least as many.
        has_exploded: Whether the last steps are an explosion.

    Raises:
        TrainingError: There are too few losses that are numbers.
    """
    count = int(np.argmin(np.isfinite(losses))) if not np.isfinite(losses).all() else len(losses)
    if count < 10:
        raise TrainingError(
            f"range test: the loss is no number after {count} steps, at a rate of "
            f"{rates[min(count, len(rates) - 1)]:.1e}. Look at the data, or test lower rates."
        )
    rates, losses, hardness = rates[:count], losses[:count], hardness[:count]
    eased = ease(losses, hardness)
    quiet = slice(0, max(5, count // 3))
    # A single exploded batch says that the loss rises, not that it rose long before.
    ceiling = 2 * float(np.mean(eased[quiet])) - float(np.min(eased))
    smoothed = smooth(np.log10(rates), np.minimum(eased, ceiling))
    # A kernel of this width averages about that many steps.
    width = 2 * math.sqrt(math.pi) * SMOOTHING_DECADES / math.log10(rates[1] / rates[0])
    error = float(np.std(eased[quiet] - smoothed[quiet])) / math.sqrt(max(1.0, width))
    start, bottom = float(np.mean(smoothed[quiet])), int(np.argmin(smoothed))
    slopes = np.gradient(smoothed, np.log10(rates))
    is_conclusive = bool(start - smoothed[bottom] > _CERTAIN_FALL * error)
    if is_conclusive:
        suggestion = float(rates[int(np.argmin(slopes[: bottom + 1]))])
        cautious = min(suggestion, float(rates[bottom]) / _CAUTION)
    else:
        harmless = np.flatnonzero(smoothed <= start + _CERTAIN_FALL * error)
        suggestion = cautious = float(rates[harmless[-1]]) / _CAUTION
    return RangeTest(
        rates=rates,
        losses=losses,
        smoothed=smoothed,
        lowest=float(rates[bottom]),
        suggestion=_round_rate(suggestion),
        cautious=_round_rate(cautious),
        is_conclusive=is_conclusive,
        has_exploded=has_exploded,
    )


def ease(losses: np.ndarray, hardness: np.ndarray) -> np.ndarray:
    """Losses less what the hardness of their batches explains of them.

    The share taken off is the regression of one's changes from step to step
    on the other's, over the first half, where the weights hardly move.
    """
    half = max(5, len(losses) // 2)
    steps, changes = np.diff(losses[:half]), np.diff(hardness[:half])
    power = float(changes @ changes)
    share = float(np.clip(steps @ changes / power, 0.0, 1.0)) if power > 0 else 0.0
    return losses - share * (hardness - hardness.mean())


def smooth(positions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Local lines through the values, weighted by a Gaussian of `SMOOTHING_DECADES`.

    A line rather than a mean: at both ends a mean would lean inwards.

    Args:
        positions: Logarithms of the rates to base 10, rising.
        values: At these.
    """
    offsets = positions[None, :] - positions[:, None]
    weights = np.exp(-0.5 * (offsets / SMOOTHING_DECADES) ** 2)
    total, first, second = (np.sum(weights * offsets**power, axis=1) for power in range(3))
    plain = np.sum(weights * values, axis=1)
    sloped = np.sum(weights * offsets * values, axis=1)
    return (second * plain - first * sloped) / (total * second - first**2)


def _round_rate(rate: float) -> float:
    """To two digits: more would pretend a precision that a curve does not have."""
    return float(f"{rate:.1e}")
