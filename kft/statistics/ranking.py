"""ROC AUC and average precision with intervals, from one sort of the scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Ranking:
    """Measure how well scores rank the positive examples of each name above the others.

    Attributes:
        roc_auc: Area under the ROC curve of each name (names,); NaN without positive or without
            other examples.
        average_precision: Area under the precision-recall curve of each name (names,), as a sum
            over its steps; NaN without positive examples.
        influences: Derivative of both means over the names with respect to the weight of each
            example, float64 (2, examples); in the mean 0.
    """

    roc_auc: np.ndarray
    average_precision: np.ndarray
    influences: np.ndarray

    @property
    def means(self) -> tuple[float, float]:
        """Mean ROC AUC and mean average precision over the names that have one; else NaN."""
        area, average = map(_mean_known, (self.roc_auc, self.average_precision))
        return area, average

    def find_intervals(self, groups: np.ndarray | None = None) -> np.ndarray:
        """95 % intervals (2, 2) of both means, by the infinitesimal jackknife on the logit scale.

        It is the limit of the bootstrap for many resamples, without a sort for each of them. For
        the ROC AUC of one name it is DeLong's interval. The ends of a perfect score are NaN.

        Args:
            groups: Group of each example, any values (examples,); None if each stands alone.

        Source: DeLong et al., Comparing the Areas under Two or More Correlated ROC Curves,
        Biometrics 44 (1988); Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982).
        """
        influences = self.influences
        num_examples = influences.shape[1]
        if groups is not None:
            codes = np.unique(groups, return_inverse=True)[1]
            influences = np.stack([np.bincount(codes, weights=row) for row in influences])
        num_units = influences.shape[1]
        ends = np.full((2, 2), np.nan)
        if num_units < 2:
            return ends
        errors = np.sqrt(np.square(influences).sum(axis=1) * num_units / (num_units - 1))
        factor = float(special.stdtrit(num_units - 1, 0.975))
        for place, (mean, error) in enumerate(zip(self.means, errors, strict=True)):
            if 0 < mean < 1 and error > 0:
                half = factor * error / num_examples / (mean * (1 - mean))
                ends[place] = special.expit(special.logit(mean) + np.array([-half, half]))
        return ends


def rank_columns(truth: Iterable[np.ndarray], scores: np.ndarray) -> Ranking:
    """Rank examples by each column of scores.

    Args:
        truth: For each column, whether an example is positive, bool (examples,).
        scores: Scores (examples, columns); a higher one speaks for positive.
    """
    num_examples, num_columns = scores.shape
    areas = np.full((2, num_columns), np.nan)
    influences = np.zeros((2, num_examples))
    for place, is_positive in enumerate(truth):
        num_positive = int(is_positive.sum())
        if 0 < num_positive < num_examples:
            areas[:, place], found = _rank(is_positive, scores[:, place])
            influences += found
        elif num_positive:
            areas[1, place] = 1.0
    num_known = np.sum(~np.isnan(areas), axis=1)
    return Ranking(areas[0], areas[1], influences / np.maximum(num_known, 1)[:, np.newaxis])


def _mean_known(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _rank(is_positive: np.ndarray, scores: np.ndarray) -> tuple[tuple[float, float], np.ndarray]:
    """Both areas of one column, and the influence of each example on them (2, examples)."""
    order = np.argsort(-scores, kind="stable")
    positive, ranked = is_positive[order].astype(np.float64), scores[order]
    is_last = np.append(ranked[1:] != ranked[:-1], True)
    last = np.flatnonzero(is_last)
    # Place of the last example of the same score, and of the first.
    tied = np.cumsum(np.append(0, is_last[:-1]))
    first = np.append(0, last[:-1] + 1)
    hits = np.cumsum(positive)
    hits_to, hits_before = hits[last][tied], (hits[first] - positive[first])[tied]
    drawn_to = (last + 1.0)[tied]
    misses_to, misses_before = drawn_to - hits_to, first[tied] - hits_before
    num_positive, count = hits[-1], len(scores)
    num_other = count - num_positive
    # Share of the others that an example outranks; ties count half.
    beaten = 1 - (misses_to + misses_before) / 2 / num_other
    beaten_by = (hits_to + hits_before) / 2 / num_positive
    area = float((positive * beaten).sum() / num_positive)
    of_area = np.where(
        positive > 0,
        (beaten - area) * count / num_positive,
        (beaten_by - area) * count / num_other,
    )
    precision = hits_to / drawn_to
    average = float((positive * precision).sum() / num_positive)
    # An example changes the precision at each positive one that is not ranked above it.
    later = np.cumsum((positive / drawn_to)[::-1])[::-1][first][tied]
    later_precision = np.cumsum((positive * precision / drawn_to)[::-1])[::-1][first][tied]
    change = positive * (precision - average) + positive * later - later_precision
    influences = np.empty((2, count))
    influences[:, order] = of_area, change * count / num_positive
    return (area, average), influences
