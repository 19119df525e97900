"""Learning curves: the error at several numbers of labels, and what more labels would bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Exponents of the power law that are tried: errors fall between not at all and as 1 / labels.
# Of the median deviation of the points.
_LEAST_DEVIATION = 0.25
_EXPONENTS = np.linspace(0.05, 1.0, 39)
_NUM_SIMULATED = 500
# Points below which a curve with three unknowns is not determined.
LEAST_POINTS = 3


@dataclass(frozen=True)
class LearningCurve:
    """Power law `floor + scale * labels ** -exponent` of an error.

    Attributes:
        floor: Error with any number of labels, at least 0.
        scale: Factor, at least 0.
        exponent: How fast the error falls.
    """

    floor: float
    scale: float
    exponent: float

    def predict(self, labels: float) -> float:
        """Predict the error at a number of labels."""
        return float(self.floor + self.scale * labels**-self.exponent)


@dataclass(frozen=True)
class Extrapolation:
    """Error that a learning curve predicts for more labels.

    Attributes:
        labels: Number of labels.
        error: Predicted error.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    labels: float
    error: float
    low: float
    high: float


def fit_learning_curve(
    labels: np.ndarray, errors: np.ndarray, deviations: np.ndarray
) -> LearningCurve:
    """Fit a power law to errors by weighted least squares.

    >>> labels = np.array([25.0, 50, 100, 200])
    >>> curve = fit_learning_curve(labels, 0.1 + labels**-0.5, np.full(4, 0.01))
    >>> round(curve.predict(400), 3)
    0.15

    Args:
        labels: Numbers of labels (points,), at least three distinct ones.
        errors: Error at each, such as the share of wrong answers (points,).
        deviations: Standard deviation of each error (points,), above 0.

    Source: Hestness et al., Deep Learning Scaling Is Predictable, Empirically, arXiv:1712.00409.
    """
    return LearningCurve(*_fit(labels, errors[np.newaxis], deviations)[0].tolist())


def extrapolate(
    labels: np.ndarray,
    errors: np.ndarray,
    deviations: np.ndarray,
    to: float,
    *,
    seed: int = 0,
) -> Extrapolation:
    """Predict the error at more labels, with an interval for the noise of the given errors.

    The interval does not cover that the curve may be no power law: twice the labels is about as
    far as it carries.

    Args:
        labels: Numbers of labels (points,), at least three distinct ones.
        errors: Error at each (points,).
        deviations: Standard deviation of each error (points,), above 0.
        to: Number of labels to predict for.
        seed: Seed of the simulated errors.
    """
    generator = np.random.default_rng(seed)
    noise = generator.standard_normal((_NUM_SIMULATED, len(errors))) * deviations
    curves = _fit(labels, np.concatenate([errors[np.newaxis], errors + noise]), deviations)
    floors, scales, exponents = curves.T
    predicted = floors + scales * float(to) ** -exponents
    low, high = np.quantile(predicted[1:], (0.025, 0.975)).tolist()
    return Extrapolation(to, float(predicted[0]), low, high)


def _fit(labels: np.ndarray, errors: np.ndarray, deviations: np.ndarray) -> np.ndarray:
    """Fit floor, scale and exponent (curves, 3) to errors (curves, points).

    For a given exponent, floor and scale are a linear least-squares problem in two unknowns, whose
    solution with both at least 0 is the free one or lies on an edge.
    """
    assert len(np.unique(labels)) >= LEAST_POINTS, "too few points for three unknowns"
    # Folds may agree by chance, which must not make one point count more than all others.
    weights = 1 / np.square(np.maximum(deviations, _LEAST_DEVIATION * np.median(deviations)))
    powers = np.asarray(labels, np.float64)[np.newaxis] ** -_EXPONENTS[:, np.newaxis]
    total, sums = weights.sum(), powers @ weights
    squares = powers**2 @ weights
    means, products = errors @ weights, (errors * weights) @ powers.T
    determinant = total * squares - sums**2
    scale = (total * products - sums * means[:, np.newaxis]) / determinant
    floor = (means[:, np.newaxis] - scale * sums) / total
    without_floor = np.maximum(products / squares, 0.0)
    scale, floor = (
        np.where(scale < 0, 0.0, np.where(floor < 0, without_floor, scale)),
        np.where(scale < 0, means[:, np.newaxis] / total, np.maximum(floor, 0.0)),
    )
    fitted = floor[..., np.newaxis] + scale[..., np.newaxis] * powers
    misfit = np.square(fitted - errors[:, np.newaxis]) @ weights
    best = misfit.argmin(axis=1)
    rows = np.arange(len(errors))
    return np.stack([floor[rows, best], scale[rows, best], _EXPONENTS[best]], axis=1)
