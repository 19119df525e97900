"""Probability that a difference of two models on the same examples is by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats


def mcnemar(before: np.ndarray, after: np.ndarray) -> float:
    """Two-sided probability of a difference in right answers by chance: McNemar's exact test.

    >>> mcnemar(np.zeros(6, bool), np.ones(6, bool))
    0.03125

    Args:
        before: Whether the first model is right, bool (examples,).
        after: Whether the second model is right, bool (examples,).

    Source: McNemar, Psychometrika 12 (1947).
    """
    gained, lost = int(np.sum(~before & after)), int(np.sum(before & ~after))
    if gained + lost == 0:
        return 1.0
    return float(stats.binomtest(gained, gained + lost).pvalue)


def signed_ranks(differences: np.ndarray) -> float:
    """Two-sided probability of paired differences by chance: Wilcoxon's signed-rank test.

    Args:
        differences: Difference on each example (examples,).

    Source: Wilcoxon, Biometrics Bulletin 1 (1945).
    """
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def adjust(chances: Sequence[float]) -> list[float]:
    """Adjust probabilities for the number of comparisons (Holm).

    >>> adjust([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.
    """
    order = np.argsort(chances, kind="stable")
    factors = len(chances) - np.arange(len(chances))
    raised = np.maximum.accumulate(np.asarray(chances)[order] * factors)
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(raised, 1.0)
    return [round(value, 12) for value in adjusted.tolist()]
