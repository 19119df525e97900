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
    rate do not depend on the unit of the targets; `restore_units` gives the
    user's unit back, in float64: float32 tells apart no two Unix times of
    the same minute.

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
        """Means and deviations of numeric targets (examples, numbers)."""
        wide = np.asarray(targets, np.float64)
        # Of equal numbers, the mean may differ from them by its rounding.
        is_constant = np.ptp(wide, axis=0) == 0
        means = np.where(is_constant, wide[0], wide.mean(axis=0))
        # The squares of the smallest numbers would be zero.
        scales = np.where(is_constant, 1.0, np.abs(wide - means).max(axis=0))
        deviations = scales * np.sqrt(np.square((wide - means) / scales).mean(axis=0))
        return {
            "means": tuple(map(float, means)),
            "deviations": tuple(map(float, np.where(is_constant, 1.0, deviations))),
        }

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """float32 targets (examples, numbers), subtracted and divided in float64."""
        wide = np.asarray(targets, np.float64)
        standardised: np.ndarray = (wide - np.array(self.means)) / np.array(self.deviations)
        return standardised.astype(np.float32)

    def restore_units(self, outputs: Any) -> Any:
        """float64 numbers in the unit of the targets, of standardised ones."""
        means, deviations = np.array(self.means), np.array(self.deviations)
        if isinstance(outputs, np.ndarray):
            return outputs.astype(np.float64) * deviations + means
        return keras.ops.cast(outputs, "float64") * deviations + means

    def make_loss(self, terms: LossTerms = PLAIN) -> keras.losses.Loss:
        """Mean squared error of standardised numbers; every term is one of classes."""
        assert terms == PLAIN, "the settings behind them are refused before"
        return keras.losses.MeanSquaredError(name="standardised_squared_error")

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Mean absolute error in deviations of the targets, which several of them share."""
        return [keras.metrics.MeanAbsoluteError(name="standardised_absolute_error")]

    def activate(self, logits: Any) -> Any:
        """Standardised numbers: what the layers answer."""
        return logits

    def describe(self) -> dict[str, Any]:
        """As the base class, with the units."""
        return super().describe() | {
            "means": list(self.means),
            "deviations": list(self.deviations),
        }
