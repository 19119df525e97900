"""Head of regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from kft.config import HeadConfig
from kft.tasks.base import Task
from kft.tasks.explained_head import ExplainedPart
from kft.tasks.head import Head
from kft.tasks.regression.task import Regression
from kft.tasks.regression.units import fit_units


@dataclass(frozen=True)
class RegressionHead(Head):
    """Head of regression, trained on targets in units of their standard deviation.

    The layers output standardised numbers, so that the loss and the learning
    rate do not depend on the unit of the targets. `restore_units` restores the
    user's unit in float64, because float32 cannot distinguish two Unix times
    within the same minute.

    Attributes:
        means: Mean of each target over the training split.
        deviations: Standard deviation of each target, 1 for a constant.
    """

    task: ClassVar[Task] = Regression()
    values_output: ClassVar[str] = "numbers"
    names_output: ClassVar[str] = "names"
    plain_signature: ClassVar[str | None] = "standardised"
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()

    @property
    def units(self) -> tuple[float, ...]:
        """Standard deviation of each target."""
        return self.deviations

    @classmethod
    def fit(
        cls, config: HeadConfig, class_names: tuple[str, ...], train_targets: np.ndarray
    ) -> RegressionHead:
        """Make the head with the units of the training targets (examples, numbers)."""
        means, deviations = fit_units(train_targets)
        return cls(
            class_names,
            config,
            means=tuple(means.tolist()),
            deviations=tuple(deviations.tolist()),
        )

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """Standardise targets (examples, numbers) in float64, and round them to float32."""
        wide = np.asarray(targets, np.float64)
        standardised: np.ndarray = (wide - np.array(self.means)) / np.array(self.deviations)
        return standardised.astype(np.float32)

    def restore_units(self, outputs: Any) -> Any:
        """Convert standardised numbers to float64 numbers in the unit of the targets."""
        means, deviations = np.array(self.means), np.array(self.deviations)
        if isinstance(outputs, np.ndarray):
            return outputs.astype(np.float64) * deviations + means
        return keras.ops.cast(outputs, "float64") * deviations + means

    def make_loss(self, terms: Any = None) -> keras.losses.Loss:
        """Make the mean squared error of standardised numbers, which has no further terms."""
        return keras.losses.MeanSquaredError(name="standardised_squared_error")

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Make the mean absolute error in standard deviations, the common unit of all numbers."""
        return [keras.metrics.MeanAbsoluteError(name="standardised_absolute_error")]

    def activate(self, logits: Any) -> Any:
        """Return the standardised numbers, which are the logits."""
        return logits

    def find_explained(self, outputs: np.ndarray) -> list[ExplainedPart]:
        """Find all numbers: why each is higher or lower than the mean of training."""
        values = self.restore_units(outputs[np.newaxis])[0]
        return [
            ExplainedPart(
                name,
                float(values[place]),
                np.sign(outputs[place] or 1.0) * self._make_direction(place, outputs),
            )
            for place, name in enumerate(self.class_names)
        ]

    def describe(self) -> dict[str, Any]:
        """Describe the head as JSON values, with its units."""
        return super().describe() | {
            "means": list(self.means),
            "deviations": list(self.deviations),
        }
