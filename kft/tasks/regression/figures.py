"""Figures of regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_figure
from kft.statistics import bootstrap_intervals, describe_ends
from kft.tasks.figures import INTERVALS, Figures, Lead, count_examples, find_interval
from kft.tasks.regression.units import fit_units

# Variance, in squares of the largest deviation, below which targets are equal.
_ROUNDING = 1e-14
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

    def lead_values(
        self, targets: np.ndarray, outputs: np.ndarray, train_targets: np.ndarray
    ) -> np.ndarray:
        """Compute the error of a single number in its unit, or of several in deviations."""
        errors = np.abs(np.asarray(outputs, np.float64) - targets)
        deviations = fit_units(train_targets)[1] if errors.shape[1] > 1 else 1.0
        values: np.ndarray = (errors / deviations).mean(axis=1)
        return values

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """Compute the figures; the baseline answers the training mean."""
        means, deviations = fit_units(train_targets)
        errors = np.abs(np.asarray(outputs, np.float64) - targets)
        baseline = np.abs(targets - means)
        intervals, number_intervals = _find_intervals(errors, targets, deviations, groups)
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
            INTERVALS: {
                **intervals,
                self.names_key: dict(zip(names, number_intervals, strict=True)),
            },
        }

    def headline(self, figures: Mapping[str, Any]) -> str:
        """Format the error in the unit of a single number, or in training deviations of several."""
        lead = self.lead(figures)
        is_relative = lead.name.endswith("deviations")
        counted = f"{len(figures[self.names_key])} numbers, " if is_relative else ""
        baseline = lead.baseline or 0.0
        worse = ". No better than the training mean" if lead.value >= baseline > 0 else ""
        return (
            f"mean absolute error {format_figure(lead.value)}{' deviations' * is_relative} "
            f"({lead.baseline_name}: {format_figure(lead.baseline)}), "
            f"{counted}{count_examples(figures)}{worse}"
        )

    def lead(self, figures: Mapping[str, Any]) -> Lead:
        """Find the error of a single number in its unit, or of several in training deviations."""
        numbers = figures[self.names_key]
        of, key, name, place = figures, "mean_absolute_error", "mean absolute error", ()
        # Older runs averaged all numbers, whatever their units.
        if "standardised_absolute_error" in figures and len(numbers) == 1:
            place = (self.names_key, *numbers)
            (of,) = numbers.values()
        elif "standardised_absolute_error" in figures:
            key, name = "standardised_absolute_error", f"{name} in training deviations"
        return Lead(
            name,
            of[key],
            find_interval(figures, *place, key),
            "answering the training mean",
            of.get(f"baseline_{key}", of.get(_BASELINES_BEFORE[key])),
            is_share=False,
        )


def _r_squared(targets: np.ndarray, errors: np.ndarray) -> float | None:
    """Compute the share of explained variance; None if the targets are constant."""
    if np.ptp(targets) == 0:
        return None
    centred = targets - targets.mean()
    # Without the scale, the squares of very small numbers would be zero.
    scale = np.abs(centred).max()
    return float(1 - np.square(errors / scale).sum() / np.square(centred / scale).sum())


def _find_intervals(
    errors: np.ndarray, targets: np.ndarray, deviations: np.ndarray, groups: np.ndarray | None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Intervals of the error over all numbers, and of the figures of each."""
    centred = targets - targets.mean(axis=0)
    # Without a scale, the squares of very small numbers would be zero.
    largest = np.maximum(np.abs(centred).max(axis=0), errors.max(axis=0))
    scale = np.where(largest > 0, largest, 1.0)[:, np.newaxis]
    scaled_errors, scaled_targets = errors.T / scale, centred.T / scale
    relative = (errors / deviations).mean(axis=1)

    def compute(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=0)
        squares = scaled_errors**2 @ weights / total
        variance = scaled_targets**2 @ weights / total - (scaled_targets @ weights / total) ** 2
        # All targets of the resample are equal, but for rounding.
        variance[variance < _ROUNDING] = np.nan
        return np.concatenate(
            [
                relative[np.newaxis] @ weights / total,
                scaled_errors @ weights / total * scale,
                np.sqrt(squares) * scale,
                1 - squares / variance,
            ]
        )

    whole, *ends = bootstrap_intervals(compute, len(errors), groups)
    of_numbers = np.split(np.stack(ends), 3)
    names = ("mean_absolute_error", "root_mean_squared_error", "r_squared")
    return {"standardised_absolute_error": describe_ends(whole)}, [
        {name: describe_ends(each[i]) for name, each in zip(names, of_numbers, strict=True)}
        for i in range(errors.shape[1])
    ]
