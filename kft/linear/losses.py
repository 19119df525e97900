"""Losses of a linear head, their slopes, and its score, by kind of target."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import special

TargetKind = Literal["class", "labels", "number"]


def replace_by_slopes(kind: TargetKind, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Losses (rows, folds); the logits become the slopes of the losses, in their own memory.

    Cross-entropy for classes, the sum of binary cross-entropies for labels, half the squared
    error for numbers. Where there are a thousand outputs, writing new arrays would take longer
    than the arithmetic.

    Args:
        kind: What a target is.
        logits: (rows, folds, outputs); overwritten.
        targets: Dense (rows, outputs).
    """
    dense = targets[:, np.newaxis, :]
    if kind == "class":
        return _replace_class_logits(logits, targets)
    if kind == "labels":
        losses = (np.logaddexp(0.0, logits) - dense * logits).sum(axis=-1)
        special.expit(logits, out=logits)
        logits -= dense
        return losses
    logits -= dense
    return 0.5 * np.vecdot(logits, logits)


def _replace_class_logits(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    logits -= logits.max(axis=-1, keepdims=True)
    answered = np.vecdot(logits, targets[:, np.newaxis, :])
    np.exp(logits, out=logits)
    sums, totals = logits.sum(axis=-1), targets.sum(axis=-1)[:, np.newaxis]
    losses: np.ndarray = totals * np.log(sums) - answered
    logits *= (totals / sums)[..., np.newaxis]
    logits -= targets[:, np.newaxis, :]
    return losses


def score_logits(kind: TargetKind, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Score of each row (rows,): whether it is right, the share of right labels, the mean error.

    Args:
        kind: What a target is.
        logits: (rows, outputs).
        targets: Dense (rows, outputs).
    """
    if kind == "class":
        right: np.ndarray = logits.argmax(axis=-1) == targets.argmax(axis=-1)
        return right
    if kind == "labels":
        return ((logits > 0) == (targets > 0.5)).mean(axis=-1)
    return np.abs(logits - targets).mean(axis=-1)
