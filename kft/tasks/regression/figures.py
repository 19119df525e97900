"""How answers that are numbers are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_figure
from kft.tasks.figures import Figures, Table, count_examples, list_columns
from kft.tasks.regression.units import fit_units

# What runs of before called the errors of the training mean.
_BASELINES_BEFORE = {
    "mean_absolute_error": "mean_target_absolute_error",
    "standardised_absolute_error": "mean_target_standardised_absolute_error",
}


class NumberFigures(Figures):
    """The errors of each number in its unit, and over all of them in training deviations.

    Numbers of different units have no mean; in units of what each deviates by in training, they
    have.
    """

    names_key: ClassVar[str] = "numbers"

    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Squared error, averaged over the numbers, which have no unit."""
        losses: np.ndarray = np.mean((np.asarray(outputs, np.float64) - targets) ** 2, axis=1)
        return losses

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
    ) -> dict[str, Any]:
        """See `Figures`; the baseline answers the training mean."""
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
        """In the unit of the one number, or in training deviations, which several share."""
        numbers = figures[self.names_key]
        of, name, unit, counted = figures, "mean_absolute_error", "", ""
        # A run of before averaged all numbers, whatever their units.
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

    def tabulate(
        self,
        names: Sequence[str],
        files: Sequence[str],
        targets: np.ndarray,
        outputs: np.ndarray,
    ) -> dict[str, Table]:
        """See `Figures`: `file`, and `true X` and `predicted X` for each number X."""
        return {"predictions.csv": list_columns(names, files, targets, outputs)}


def _r_squared(targets: np.ndarray, errors: np.ndarray) -> float | None:
    """Share of the spread that the errors leave out; None where there is no spread."""
    if np.ptp(targets) == 0:
        return None
    centred = targets - targets.mean()
    # The squares of the smallest numbers would be zero.
    scale = np.abs(centred).max()
    return float(1 - np.square(errors / scale).sum() / np.square(centred / scale).sum())
