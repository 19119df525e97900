"""A head whose answers are numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from kft.heads.base import PLAIN, Head
from kft.heads.losses import LossTerms


@dataclass(frozen=True)
class RegressionHead(Head):
    """Numbers, learnt in units of the training targets' deviation.

    The layers answer standardised numbers, so that the loss and the learning
    rate do not depend on the unit of the targets; `activate` gives the
    user's unit back.

    Attributes:
        means: Mean of each target over the training split.
        deviations: Standard deviation of each, 1 for a constant.
    """

    name: ClassVar[str] = "regression"
    target_kind: ClassVar[str] = "number"
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()

    @property
    def units(self) -> tuple[float, ...]:
        """The deviation of each target."""
        return self.deviations

    @classmethod
    def fit_units(cls, targets: np.ndarray) -> dict[str, tuple[float, ...]]:
        """Means and deviations of float targets (examples, numbers)."""
        deviations = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
        return {
            "means": tuple(map(float, targets.mean(axis=0))),
            "deviations": tuple(map(float, deviations)),
        }

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """Targets (examples, numbers) in the units that the layers answer in."""
        standardised: np.ndarray = (targets - np.array(self.means)) / np.array(self.deviations)
        return standardised.astype(np.float32)

    def make_loss(self, terms: LossTerms = PLAIN) -> keras.losses.Loss:
        """Mean squared error of standardised numbers; every term is one of classes."""
        assert terms == PLAIN, "the settings behind them are refused before"
        return StandardisedSquaredError(self.means, self.deviations)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Mean absolute error in the unit of the targets."""

        def error(targets: Any, outputs: Any) -> Any:
            return keras.losses.mean_absolute_error(targets, self.activate(outputs))

        return [keras.metrics.MeanMetricWrapper(error, name="mean_absolute_error")]

    def activate(self, logits: Any) -> Any:
        """Numbers in the unit of the targets."""
        return logits * np.array(self.deviations, np.float32) + np.array(self.means, np.float32)

    def describe(self) -> dict[str, Any]:
        """As the base class, with the units."""
        return super().describe() | {
            "means": list(self.means),
            "deviations": list(self.deviations),
        }


class StandardisedSquaredError(keras.losses.Loss):
    """Mean squared error after targets are brought to mean 0 and deviation 1."""

    def __init__(self, means: tuple[float, ...], deviations: tuple[float, ...]) -> None:
        super().__init__(name="standardised_squared_error")
        self.means = np.array(means, np.float32)
        self.deviations = np.array(deviations, np.float32)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss (batch,) of targets and outputs, both (batch, numbers)."""
        standardised = (y_true - self.means) / self.deviations
        return keras.ops.mean(keras.ops.square(standardised - y_pred), axis=-1)
