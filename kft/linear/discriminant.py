"""Linear discriminant analysis in the span of the examples, cross-fitted in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.problem import Problem

PENALTIES = tuple(10.0 ** np.arange(-2.5, 1.6, 0.5))
SHRINKAGES = (1e-3, 3e-2, 1.0)


@dataclass(frozen=True)
class Discriminant:
    """Linear discriminants of the classes.

    Attributes:
        kernel: Kernel, float32 (features, classes).
        bias: Bias, float32 (classes,).
        logits: Logits (examples, classes) of each example by discriminants that had not seen it.
        penalty: Ridge penalty, in units of the mean squared norm of the centred features.
        shrinkage: Share of the mean variance that is added to the variance of every score.
    """

    kernel: np.ndarray
    bias: np.ndarray
    logits: np.ndarray
    penalty: float
    shrinkage: float


def fit_discriminant(
    problem: Problem,
    targets: LinearTargets,
    loss: LinearLoss,
    folds: np.ndarray,
    *,
    penalties: Sequence[float] = PENALTIES,
    shrinkages: Sequence[float] = SHRINKAGES,
) -> Discriminant:
    """Fit discriminants, with ridge penalty and shrinkage by cross-validated loss.

    Ridge regression predicts the targets. Its predictions of left-out examples follow from the
    fit to all of them, without a further fit. In the space of these predictions, which has one
    dimension per class, the classes are normal distributions with one covariance; this second
    step undoes that ridge regression shrinks some directions between classes more than others.
    Weights of examples are ignored.

    Args:
        problem: Problem of all examples, for its axes.
        targets: Targets of the examples.
        loss: Loss of classes.
        folds: Fold (examples,) that leaves out each example, at least 0.
        penalties: Penalties to choose from.
        shrinkages: Shrinkages to choose from.

    Source: Hastie, Buja and Tibshirani, Penalized Discriminant Analysis, Annals of Statistics
    23(1), 1995.
    """
    classes = loss.find_classes(targets.dense)
    assert classes is not None and problem.rotated is not None
    rows, squares = problem.rotated.astype(np.float64), problem.axes.squares
    mean = targets.dense.mean(axis=0, dtype=np.float64)
    moments = rows.T @ (targets.dense - mean)
    unit = squares.sum() / len(rows)
    offsets = 0 if targets.offsets is None else targets.offsets
    least = np.inf
    for penalty in penalties:
        inverse = 1 / (squares + penalty * unit)
        kernel = moments * inverse[:, np.newaxis]
        residuals = targets.dense - mean - rows @ kernel
        scores = np.empty_like(residuals)
        for fold in range(int(folds.max()) + 1):
            held = np.flatnonzero(folds == fold)
            hat = (rows[held] * inverse) @ rows[held].T + 1 / len(rows)
            left_out = np.linalg.solve(np.eye(len(held)) - hat, residuals[held])
            scores[held] = targets.dense[held] - left_out
        for shrinkage in shrinkages:
            logits = np.empty_like(scores)
            for fold in range(int(folds.max()) + 1):
                held = folds == fold
                directions, shift = _separate(scores[~held], classes[~held], shrinkage)
                logits[held] = scores[held] @ directions + shift
            shifted = logits.astype(np.float32)[:, np.newaxis]
            total = float(loss.replace_by_slopes(shifted, targets.dense).sum())
            if total < least:
                least, chosen = total, (penalty, shrinkage)
                directions, shift = _separate(scores, classes, shrinkage)
                along = (kernel @ directions).astype(np.float32)
                head = problem.to_features((along, mean @ directions + shift - offsets))
                best = head, logits - offsets
    (kernel, bias), logits = best
    return Discriminant(kernel, bias.astype(np.float32), logits.astype(np.float32), *chosen)


def _separate(
    scores: np.ndarray, classes: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find the map (classes, classes) and shift (classes,) from scores to logits."""
    num_classes = scores.shape[1]
    member = np.eye(num_classes)[classes]
    counts = member.sum(axis=0)
    # A class without examples is put into the middle, with a small share.
    means = (member.T @ scores + 1e-9 * scores.mean(axis=0)) / (counts[:, np.newaxis] + 1e-9)
    inner = scores - means[classes]
    covariance = inner.T @ inner / len(scores)
    covariance += shrinkage * np.trace(covariance) / num_classes * np.eye(num_classes)
    directions = np.linalg.solve(covariance, means.T)
    shift = np.log((counts + 0.5) / (counts + 0.5).sum()) - 0.5 * np.vecdot(means, directions.T)
    # A constant on all classes changes no answer; here it would be large, because the scores of an
    # example add up to 1.
    return directions - directions.mean(axis=1, keepdims=True), shift - shift.mean()
