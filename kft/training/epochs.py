"""Division of training into calls of Keras's `fit`: the rest of an epoch, then whole epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Fit:
    """One call of Keras's `fit`: whole epochs, or the rest of one.

    Attributes:
        start: Number of steps taken before the call.
        epoch: First epoch, from 0.
        end_epoch: Epoch after the last.
        steps_per_epoch: Number of steps in each of these epochs.
    """

    start: int
    epoch: int
    end_epoch: int
    steps_per_epoch: int


def plan_fits(done: int, steps: int, steps_per_epoch: int) -> list[Fit]:
    """Plan the calls of `fit` after `done` steps: the rest of an epoch if any, then whole epochs.

    >>> plan_fits(3, 8, 4)
    [Fit(start=3, epoch=0, end_epoch=1, steps_per_epoch=1), \
Fit(start=4, epoch=1, end_epoch=2, steps_per_epoch=4)]
    """
    epoch, within = divmod(done, steps_per_epoch)
    fits = [Fit(done, epoch, epoch + 1, steps_per_epoch - within)] if within else []
    first, end = epoch + bool(within), -(-steps // steps_per_epoch)
    if first < end:
        fits.append(Fit(first * steps_per_epoch, first, end, steps_per_epoch))
    return fits


class OneTraining(keras.callbacks.CallbackList):
    """Callback list that begins and ends training once over several calls of `fit`.

    Args:
        callbacks: Callbacks, in order.
        model: Model to fit.
    """

    def __init__(self, callbacks: Sequence[Any], model: keras.Model) -> None:
        super().__init__(list(callbacks), add_history=True, model=model, verbose=0)

    def begin(self) -> None:
        """Begin the training."""
        super().on_train_begin()

    def end(self) -> None:
        """End the training."""
        super().on_train_end()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Ignore the beginning of a call of `fit`."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Ignore the end of a call of `fit`."""
