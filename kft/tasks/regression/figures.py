"""Figures of regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_figure
from kft.tasks.figures import Figures, count_examples
from kft.tasks.regression.units import fit_units

# Keys of older runs for the errors of the training mean.
_BASELINES_BEFORE = {
    "mean_absolute_error": "mean_target_absolute_error",
    "standardised_absolute_error": "mean_target_standardised_absolute_error",
}


class NumberFigures(Figures):
    """Figures of numbers: errors of each in its unit, and over all in training deviations.

    Errors in different units cannot be averaged, but errors relative to the standard deviation of
    each number in training can.
    """

    names_key: ClassVar[str] = "numbers"

    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute squared errors of standardised numbers, averaged over the numbers."""
        losses: np.ndarray = np.mean((np.asarray(outputs, np.float64) - targets) ** 2, axis=1)
        return losses

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
    ) -> dict[str, Any]:
        """Compute the figures; the baseline answers the training mean."""
        means, deviations = fit_units(train_targets)
        errors = np.abs(np.asarray(outputs, np.float64) - targets)
        baseline = np.abs(targets - means)
        return {
            "examples": len(targets),
            "standardised_absolute_error": float((errors / deviations).mean()),
            "baseline_standardised_absolute_error": float((baseline / deviations).mean()),
            self.names_key: {
                name: {
                    "mean_absolute_error": float(errors[:, i].mean()),
                    "baseline_mean_absolute_error": float(baseline[:, i].mean()),
                    "root_mean_squared_error": float(np.sqrt((errors[:, i] ** 2).mean())),
                    "r_squared": _r_squared(targets[:, i], errors[:, i]),
                }
                for i, name in enumerate(names)
            },
        }

    def headline(self, figures: Mapping[str, Any]) -> str:
        """Format the error in the unit of a single number, or in training deviations of several."""
        numbers = figures[self.names_key]
        of, name, unit, counted = figures, "mean_absolute_error", "", ""
        # Older runs averaged all numbers, whatever their units.
        if "standardised_absolute_error" in figures and len(numbers) == 1:
            (of,) = numbers.values()
        elif "standardised_absolute_error" in figures:
            name, unit = "standardised_absolute_error", " deviations"
            counted = f"{len(numbers)} numbers, "
        error = of[name]
        baseline = of.get(f"baseline_{name}", of.get(_BASELINES_BEFORE[name]))
        worse = ". No better than the training mean" if error >= baseline > 0 else ""
        return (
            f"mean absolute error {format_figure(error)}{unit} (answering the training mean: "
            f"{format_figure(baseline)}), {counted}{count_examples(figures)}{worse}"
        )


def _r_squared(targets: np.ndarray, errors: np.ndarray) -> float | None:
    """Compute the share of explained variance; None if the targets are constant."""
    if np.ptp(targets) == 0:
        return None
    centred = targets - targets.mean()
    # Without the scale, the squares of very small numbers would be zero.
    scale = np.abs(centred).max()
    return float(1 - np.square(errors / scale).sum() / np.square(centred / scale).sum())
