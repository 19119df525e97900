"""Numbers, learned by their squared error in units of their deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from kft.config import HeadConfig
from kft.tasks.base import Task
from kft.tasks.head import Head
from kft.tasks.regression.task import Regression
from kft.tasks.regression.units import fit_units


@dataclass(frozen=True)
class RegressionHead(Head):
    """Numbers, learned in units of the training targets' deviation.

    The layers answer standardised numbers, so that the loss and the learning
    rate do not depend on the unit of the targets; `restore_units` gives the
    user's unit back, in float64: float32 tells apart no two Unix times of
    the same minute.

    Attributes:
        means: Mean of each target over the training split.
        deviations: Standard deviation of each, 1 for a constant.
    """

    task: ClassVar[Task] = Regression()
    values_output: ClassVar[str] = "numbers"
    names_output: ClassVar[str] = "names"
    plain_signature: ClassVar[str | None] = "standardised"
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()

    @property
    def units(self) -> tuple[float, ...]:
        """The deviation of each target."""
        return self.deviations

    @classmethod
    def fit(
        cls, config: HeadConfig, class_names: tuple[str, ...], train_targets: np.ndarray
    ) -> RegressionHead:
        """As every head, with the units of the training targets (examples, numbers)."""
        means, deviations = fit_units(train_targets)
        return cls(class_names, config, tuple(means.tolist()), tuple(deviations.tolist()))

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

    def make_loss(self, terms: Any = None) -> keras.losses.Loss:
        """Mean squared error of standardised numbers; a pipeline adds nothing to it."""
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
