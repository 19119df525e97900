"""Average precision of matches, over all examples or over resamples of them."""

from __future__ import annotations

import numpy as np

from kft.tasks.detection.matching import RANGES, THRESHOLDS, Matches

RECALLS = np.linspace(0, 1, 101)
"""Recalls at which precision is averaged."""


def average_precision(
    matches: Matches, size: str, weights: np.ndarray, thresholds: range = range(len(THRESHOLDS))
) -> np.ndarray:
    """Compute average precisions (thresholds, resamples); NaN without true boxes.

    Precision at a recall is the largest at that recall or a higher one, averaged over 101 recalls.

    Args:
        matches: Matches of one class.
        size: Key of `RANGES`.
        weights: How often each resample holds each example (examples, resamples).
        thresholds: Places in `THRESHOLDS`.

    Source: Lin et al., Microsoft COCO, arXiv:1405.0312.
    """
    place = list(RANGES).index(size)
    support = matches.support[place] @ weights
    found = np.full((len(thresholds), weights.shape[1]), np.nan)
    is_judged = support > 0
    if not is_judged.any():
        return found
    for row, threshold in enumerate(thresholds):
        precision, recall = trace_precision(matches, size, weights[:, is_judged], threshold)
        reached = np.searchsorted(RECALLS, recall, side="right")
        steps = np.diff(reached, axis=0, prepend=0)
        found[row, is_judged] = (precision * steps).sum(axis=0) / len(RECALLS)
    return found


def trace_precision(
    matches: Matches, size: str, weights: np.ndarray, threshold: int
) -> tuple[np.ndarray, np.ndarray]:
    """Trace precision and recall after each right answer (right answers, resamples).

    The precision is the largest from there on.

    Args:
        matches: Matches of one class, with true boxes in every resample.
        size: Key of `RANGES`.
        weights: See `average_precision`.
        threshold: Place in `THRESHOLDS`.
    """
    place = list(RANGES).index(size)
    counted = ~matches.is_ignored[place, threshold]
    is_right = matches.is_right[place, threshold, counted]
    examples = matches.examples[counted]
    answered = np.cumsum(weights[examples], axis=0)[is_right]
    right = np.cumsum(weights[examples[is_right]], axis=0)
    precision = right / np.maximum(answered, 1.0)
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return envelope, right / (matches.support[place] @ weights)


def most_recall(matches: Matches, size: str, weights: np.ndarray) -> np.ndarray:
    """Compute the recall of all answers, as a mean over the thresholds (resamples,).

    Args:
        matches: Matches of one class.
        size: Key of `RANGES`.
        weights: See `average_precision`.
    """
    place = list(RANGES).index(size)
    counted = matches.is_right[place] & ~matches.is_ignored[place]
    right = np.stack([weights[matches.examples[each]].sum(axis=0) for each in counted])
    with np.errstate(invalid="ignore", divide="ignore"):
        recall: np.ndarray = (right / (matches.support[place] @ weights)).mean(axis=0)
    return recall
