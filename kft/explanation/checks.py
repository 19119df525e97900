"""Checks of an explanation: does it depend on the weights, and on what the answer depends on?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
from scipy import stats

from kft.explanation.explained_model import ExplainedModel
from kft.explanation.methods import Subject, score_hidden
from kft.explanation.record import DeletionCurve
from kft.modalities.explained import sum_by_part

_STEPS = 10
# Random orders whose curves are averaged.
_ORDERS = 3
# Smallest part of the score that hiding everything must change.
_LEAST_CHANGE = 1e-3


@contextmanager
def shuffled_weights(model: keras.Model, seed: int = 0) -> Iterator[None]:
    """Shuffle the values within each weight while the block runs, and restore them after it.

    The weights keep their distribution, so that activations keep their size, but hold nothing
    learned.

    Source: Adebayo et al., Sanity Checks for Saliency Maps, arXiv:1810.03292.
    """
    drawn = np.random.default_rng(seed)
    kept = [(variable, np.array(variable.numpy())) for variable in model.weights]
    try:
        for variable, values in kept:
            if np.issubdtype(values.dtype, np.integer):
                continue
            variable.assign(drawn.permutation(values.reshape(-1)).reshape(values.shape))
        yield
    finally:
        for variable, values in kept:
            variable.assign(values)


def compare_values(values: np.ndarray, others: np.ndarray, parts: np.ndarray) -> float | None:
    """Rank correlation of the sizes of two explanations over the parts; None if undefined.

    Args:
        values: Value of each position.
        others: Values of the other explanation.
        parts: Part of each position.
    """
    sizes = [sum_by_part(np.abs(each), parts) for each in (values, others)]
    if any(len(each) < 2 or np.ptp(each) == 0 for each in sizes):
        return None
    return float(stats.spearmanr(*sizes).statistic)


class Deletion:
    """Deletion curves of one answer; random orders are computed once for all methods.

    Args:
        model: The model.
        subject: The answer.
    """

    def __init__(self, model: ExplainedModel, subject: Subject) -> None:
        self._model, self._subject = model, subject
        counts = np.round(np.linspace(0, 1, _STEPS + 1) * subject.num_parts)
        # A text of three words has four steps.
        self._counts = np.unique(counts).astype(int)
        drawn = np.random.default_rng(0)
        curves = [self._hide(drawn.permutation(subject.num_parts)) for _ in range(_ORDERS)]
        self._random = np.mean(curves, axis=0)

    def trace(self, values: np.ndarray) -> DeletionCurve | None:
        """Trace the curve of an explanation; None if hiding everything changes nothing.

        Args:
            values: Value of each position.
        """
        span = float(self._random[0] - self._random[-1])
        if abs(span) < _LEAST_CHANGE:
            return None
        order = np.argsort(-sum_by_part(values, self._subject.parts), kind="stable")
        hidden, shuffled = (
            tuple(((curve - self._random[-1]) / span).tolist())
            for curve in (self._hide(order), self._random)
        )
        shares = self._counts / max(self._subject.num_parts, 1)
        return DeletionCurve(tuple(shares.tolist()), hidden, shuffled)

    def _hide(self, order: np.ndarray) -> np.ndarray:
        """Scores while the parts are hidden in this order."""
        sets = [order[:count] for count in self._counts]
        return score_hidden(self._model, self._subject, sets)
