"""Precision, recall and F1 of names from counts, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from kft.statistics import (
    Ranking,
    bootstrap_intervals,
    describe_ends,
    wilson_interval,
    wilson_intervals,
)
from kft.tasks.figures import none_if_nan

# Decimals of the intervals of each name: with a thousand classes, all digits would be megabytes.
_DIGITS = 4
_OF_ALL_NAMES = ("balanced_accuracy", "macro_f1", "weighted_f1")
_OF_EACH_NAME = ("precision", "recall")


@dataclass(frozen=True)
class NameScores:
    """Scores of names, as arrays (names, resamples), and of all of them (resamples,).

    Attributes:
        precision: Precision; NaN for a name that was never answered.
        recall: Recall; NaN for a name without examples.
        f1: F1; 0 for a name that was never right.
        support: Number of examples of the name.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray

    @property
    def balanced_accuracy(self) -> np.ndarray:
        """Mean recall of the names with examples; NaN if there are none."""
        return _mean_over_present(np.nan_to_num(self.recall), self.support > 0)

    @property
    def macro_f1(self) -> np.ndarray:
        """Mean F1 of the names with examples; NaN if there are none."""
        return _mean_over_present(self.f1, self.support > 0)

    @property
    def weighted_f1(self) -> np.ndarray:
        """Mean F1 of the names, weighted by their examples; NaN if there are none."""
        return _mean_over_present(self.f1, self.support)


def _mean_over_present(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum(axis=0)
    mean: np.ndarray = (values * weights).sum(axis=0) / np.where(total > 0, total, np.nan)
    return mean


@dataclass(frozen=True)
class NameCounts:
    """Names that each example has, and names that it was given.

    Attributes:
        truth: Names of the examples, of 0 and 1 (examples, names).
        answers: Names that they were given, of 0 and 1 (examples, names).
    """

    truth: sparse.csr_matrix
    answers: sparse.csr_matrix

    @classmethod
    def of_classes(cls, targets: np.ndarray, predicted: np.ndarray, num_names: int) -> NameCounts:
        """Count classes, of which each example has exactly one.

        Args:
            targets: Index of the class of each example.
            predicted: Index of the class that it was given.
            num_names: Number of classes.
        """
        return cls(_one_hot(targets, num_names), _one_hot(predicted, num_names))

    @classmethod
    def of_labels(cls, truth: np.ndarray, answers: np.ndarray) -> NameCounts:
        """Count labels, of which an example has any number.

        Args:
            truth: Labels of the examples, of 0 and 1 (examples, names).
            answers: Labels that they were given.
        """
        return cls(sparse.csr_matrix(truth, dtype=float), sparse.csr_matrix(answers, dtype=float))

    def score(self, weights: np.ndarray | None = None) -> NameScores:
        """Compute the scores, over all examples or for each resample.

        Args:
            weights: How often each resample holds each example (examples, resamples); None for
                all examples once, as a single resample.
        """
        hits, support, answered = self._count(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            f1 = np.where(hits > 0, 2 * hits / (support + answered), 0.0)
            return NameScores(hits / answered, hits / support, f1, support)

    def find_intervals(
        self,
        means: Mapping[str, np.ndarray],
        ranking: Ranking,
        groups: np.ndarray | None = None,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Find 95 % intervals of the scores, of means over the examples, and of a ranking.

        Shares of examples that stand alone have Wilson's intervals; all others are resampled.

        Args:
            means: Figure -> its value for each example (examples,), bool for a share.
            ranking: Ranking of the examples by each name.
            groups: Group of each example, any values (examples,); None if each stands alone.

        Returns:
            Ends (2,) of each figure, and ends (names, 2) of precision and recall.
        """
        stacked = np.stack([np.asarray(values, np.float64) for values in means.values()])

        def compute(weights: np.ndarray) -> np.ndarray:
            scores = self.score(weights)
            rows = [stacked @ weights / weights.sum(axis=0)]
            rows += [getattr(scores, name)[np.newaxis] for name in _OF_ALL_NAMES]
            if groups is not None:
                rows += [getattr(scores, name) for name in _OF_EACH_NAME]
            return np.concatenate(rows)

        ends = bootstrap_intervals(compute, len(stacked[0]), groups)
        num_whole = len(means) + len(_OF_ALL_NAMES)
        of_all = dict(zip((*means, *_OF_ALL_NAMES), ends[:num_whole], strict=True))
        of_all["roc_auc"], of_all["average_precision"] = ranking.find_intervals(groups)
        if groups is not None:
            halves = np.split(ends[num_whole:], 2)
            return of_all, dict(zip(_OF_EACH_NAME, halves, strict=True))
        for name, values in means.items():
            if values.dtype == bool:
                of_all[name] = wilson_intervals(values.sum(), np.array(len(values)))
        hits, support, answered = self._count()
        return of_all, {
            "precision": wilson_intervals(hits, answered)[:, 0],
            "recall": wilson_intervals(hits, support)[:, 0],
        }

    def _count(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """Count hits, examples and answers of each name, each (names, resamples)."""
        if weights is None:
            weights = np.ones((self.truth.shape[0], 1))
        return self._hits.T @ weights, self.truth.T @ weights, self.answers.T @ weights

    @cached_property
    def _hits(self) -> sparse.csr_matrix:
        return self.truth.multiply(self.answers).tocsr()


def describe_scores(
    scores: NameScores, ranking: Ranking, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describe the scores over all examples by JSON values.

    Args:
        scores: Scores as a single resample.
        ranking: Ranking of the examples by each name.
        names: Name of each column.

    Returns:
        Figures of all names, and those of each. A name without examples has None for each, and
        one that was never answered a precision of 0.
    """
    of_all = {name: float(getattr(scores, name)[0]) for name in _OF_ALL_NAMES}
    of_all["roc_auc"], of_all["average_precision"] = ranking.means
    columns = {
        "precision": np.nan_to_num(scores.precision[:, 0]),
        "recall": scores.recall[:, 0],
        "f1": scores.f1[:, 0],
        "roc_auc": ranking.roc_auc,
        "average_precision": ranking.average_precision,
    }
    support = scores.support[:, 0].astype(int).tolist()
    return {name: none_if_nan(value) for name, value in of_all.items()}, {
        name: {
            **{
                figure: none_if_nan(values[place]) if support[place] else None
                for figure, values in columns.items()
            },
            "examples": support[place],
        }
        for place, name in enumerate(names)
    }


def describe_intervals(
    of_all: Mapping[str, np.ndarray], of_each: Mapping[str, np.ndarray], names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Describe intervals from `NameCounts.find_intervals` by JSON values; None if unknown.

    Args:
        of_all: Ends (2,) of each figure.
        of_each: Ends (names, 2) of each figure of the names.
        names: Name of each row.
    """
    return {name: describe_ends(ends) for name, ends in of_all.items()}, {
        name: {
            figure: describe_ends(ends[place], digits=_DIGITS) for figure, ends in of_each.items()
        }
        for place, name in enumerate(names)
    }


def judge_units(is_right: np.ndarray, groups: np.ndarray | None) -> list[float]:
    """Interval of a share where all resamples agree: Wilson's for as many trials as groups.

    Args:
        is_right: Whether each example is right, bool (examples,).
        groups: Group of each example, any values (examples,); None if each stands alone.
    """
    num_units = len(is_right) if groups is None else len(np.unique(groups))
    return list(wilson_interval(round(float(is_right.mean()) * num_units), num_units))


def _one_hot(indices: np.ndarray, num_names: int) -> sparse.csr_matrix:
    count = len(indices)
    return sparse.csr_matrix(
        (np.ones(count), (np.arange(count), indices)), shape=(count, num_names)
    )
