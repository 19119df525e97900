"""A training in several calls of Keras's `fit`: what is left of an epoch, then whole ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Fit:
    """A call of Keras's `fit`: some whole epochs, or what is left of one.

    Attributes:
        start: Steps that are done before it.
        epoch: Its first, from 0.
        end_epoch: The one after its last.
        steps_per_epoch: Of these epochs.
    """

    start: int
    epoch: int
    end_epoch: int
    steps_per_epoch: int


def plan_fits(done: int, steps: int, steps_per_epoch: int) -> list[Fit]:
    """From `done` steps on: the rest of the epoch, if it is begun, and then the others."""
    epoch, within = divmod(done, steps_per_epoch)
    fits = [Fit(done, epoch, epoch + 1, steps_per_epoch - within)] if within else []
    first, end = epoch + bool(within), -(-steps // steps_per_epoch)
    if first < end:
        fits.append(Fit(first * steps_per_epoch, first, end, steps_per_epoch))
    return fits


class OneTraining(keras.callbacks.CallbackList):
    """Callbacks of a training that takes several calls of `fit`: it begins and ends once.

    Args:
        callbacks: In order.
        model: What is fitted.
    """

    def __init__(self, callbacks: Sequence[Any], model: keras.Model) -> None:
        super().__init__(list(callbacks), add_history=True, model=model, verbose=0)

    def begin(self) -> None:
        """The training begins."""
        super().on_train_begin()

    def end(self) -> None:
        """The training has ended."""
        super().on_train_end()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A call of `fit` begins, which is no news."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """A call of `fit` ends, which is no news."""
