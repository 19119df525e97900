"""Knowing when not to answer: risk by coverage, a threshold for an error rate, conformal sets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kft.statistics import wilson_interval


@dataclass(frozen=True)
class RiskCurve:
    """Error among the surest answers, for each share of examples that is answered.

    Attributes:
        coverage: Share of examples answered, rising to 1 (points,).
        risk: Share of wrong answers among them (points,).
        thresholds: Least confidence that is answered (points,).
        area: Mean risk over all coverages.
    """

    coverage: np.ndarray
    risk: np.ndarray
    thresholds: np.ndarray
    area: float


def trace_risk(confidence: np.ndarray, is_right: np.ndarray) -> RiskCurve:
    """Trace the error among the surest answers; answers of equal confidence stay together.

    Args:
        confidence: Confidence of each answer (examples,), at least one.
        is_right: Whether the answer is right, bool (examples,).

    Source: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks,
    arXiv:1705.08500.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    answered = last + 1
    risk = np.cumsum(~is_right[order])[last] / answered
    widths = np.diff(np.append(0, answered)) / len(ranked)
    return RiskCurve(answered / len(ranked), risk, ranked[last], float((risk * widths).sum()))


def choose_threshold(confidence: np.ndarray, is_right: np.ndarray, error: float) -> float | None:
    """Choose the least confidence that is answered, so that at most a share of answers is wrong.

    One more wrong answer than was seen is counted, so that a lucky streak of few answers does not
    pass: an error of 2 % needs 49 right answers at least.

    Args:
        confidence: Confidence of each answer (examples,), of examples that the model was not
            trained on.
        is_right: Whether the answer is right, bool (examples,).
        error: Largest share of wrong answers, in (0, 1).

    Returns:
        Threshold of the largest coverage that keeps to the error; None if none does.
    """
    curve = trace_risk(confidence, is_right)
    answered = curve.coverage * len(confidence)
    is_kept = (curve.risk * answered + 1) / (answered + 1) <= error
    return float(curve.thresholds[is_kept][-1]) if is_kept.any() else None


@dataclass(frozen=True)
class Abstention:
    """Error of the answers above a threshold, on examples that did not choose it.

    Attributes:
        coverage: Share of examples that are answered.
        error: Share of wrong answers among them; None if there are none.
        interval: 95 % interval of the error; None if there are no answers.
    """

    coverage: float
    error: float | None
    interval: tuple[float, float] | None


def measure_abstention(
    confidence: np.ndarray, is_right: np.ndarray, threshold: float
) -> Abstention:
    """Measure coverage and error of a threshold.

    Args:
        confidence: Confidence of each answer (examples,), at least one.
        is_right: Whether the answer is right, bool (examples,).
        threshold: Least confidence that is answered.
    """
    answered = confidence >= threshold
    num_answered = int(answered.sum())
    coverage = num_answered / len(confidence)
    if not num_answered:
        return Abstention(coverage, None, None)
    num_wrong = int((~is_right[answered]).sum())
    return Abstention(coverage, num_wrong / num_answered, wilson_interval(num_wrong, num_answered))


def fit_conformal(probabilities: np.ndarray, targets: np.ndarray, error: float) -> float:
    """Find the probability from which on a class belongs to the set of possible answers.

    Sets of classes with at least this probability hold the true class of a share 1 - `error` of
    new examples, if these come from the same source as the given ones.

    Args:
        probabilities: Probabilities (examples, classes), of examples that the model was not
            trained on.
        targets: Index of each example's class (examples,).
        error: Share of sets that may miss the true class, in (0, 1).

    Returns:
        Threshold for `make_conformal_sets`; 0, so that sets hold all classes, if there are too few
        examples for the error.

    Source: Sadinle et al., Least Ambiguous Set-Valued Classifiers, arXiv:1609.00451.
    """
    likely = np.sort(probabilities[np.arange(len(targets)), targets])[::-1]
    # Rounding of the product must not take the next place.
    place = math.ceil((len(targets) + 1) * (1 - error) - 1e-9)
    return float(likely[place - 1]) if place <= len(targets) else 0.0


def make_conformal_sets(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Make the sets of possible answers, bool (examples, classes); a set may be empty.

    Args:
        probabilities: Probabilities (examples, classes).
        threshold: Result of `fit_conformal`.
    """
    sets: np.ndarray = probabilities >= threshold
    return sets


def choose_label_thresholds(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Choose the threshold of each label that gives the best F1.

    Args:
        probabilities: Probabilities (examples, labels), of examples that the model was not trained
            on.
        targets: Labels of 0 and 1 (examples, labels).

    Returns:
        Thresholds (labels,), each halfway between two probabilities; 0.5 for a label without
        examples. A label is answered from its threshold on.

    Source: Lipton et al., Optimal Thresholding of Classifiers to Maximize F1 Measure,
    arXiv:1402.1892.
    """
    thresholds = np.full(probabilities.shape[1], 0.5)
    for label, (column, truth) in enumerate(zip(probabilities.T, targets.T, strict=True)):
        if truth.any():
            order = np.argsort(-column, kind="stable")
            ranked = column[order].astype(np.float64)
            is_last = np.append(ranked[1:] != ranked[:-1], True)
            answered = np.arange(1, len(column) + 1)
            f1 = 2 * np.cumsum(truth[order]) / (answered + truth.sum())
            best = int(np.where(is_last, f1, -1.0).argmax())
            below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
            thresholds[label] = (ranked[best] + below) / 2
    return thresholds
