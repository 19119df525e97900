"""Answers of a detector that are shown, and which of them are right."""

from __future__ import annotations

import numpy as np

from kft.tasks.base import FOUND, MISSED, WRONG
from kft.tasks.detection.matching import match_boxes
from kft.tasks.detection.task import CHOSEN_SCORE


def find_hits(target: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find which true boxes are found, and which answers are right, at an overlap of .5.

    Args:
        target: True boxes without padding (boxes, 5).
        answers: Answers, surest first (answers, 6).

    Returns:
        bool (boxes,) and bool (answers,).
    """
    is_found, is_right = np.zeros(len(target), bool), np.zeros(len(answers), bool)
    for code in np.unique(target[:, 0]):
        own, given = target[:, 0] == code, answers[:, 0] == code
        right = match_boxes(target[own, 1:], answers[given, 1:5])[0][0, 0]
        is_right[given] = right
        # In the same order, right answers alone take the same true boxes.
        is_found[own] = match_boxes(answers[given, 1:5][right], target[own, 1:])[0][0, 0]
    return is_found, is_right


def choose_answers(output: np.ndarray) -> np.ndarray:
    """Choose the answers of one example that are shown (answers, 6), surest first."""
    chosen: np.ndarray = output[(output[:, 0] >= 0) & (output[:, 5] >= CHOSEN_SCORE)]
    return chosen


def mark_boxes(target: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Mark the shown answers and the missed boxes of one example.

    Args:
        target: True boxes (boxes, 5).
        output: Answers, surest first (answers, 6).

    Returns:
        Class, sides, and `FOUND`, `MISSED` or `WRONG` (marked, 6).
    """
    truth, answers = target[target[:, 0] >= 0], choose_answers(output)
    is_found, is_right = find_hits(truth, answers)
    marks = np.where(is_right, FOUND, WRONG)[:, np.newaxis]
    missed = truth[~is_found]
    return np.concatenate(
        [
            np.concatenate([missed, np.full((len(missed), 1), MISSED)], axis=1),
            np.concatenate([answers[:, :5], marks], axis=1),
        ]
    )
