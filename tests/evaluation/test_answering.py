"""Thresholds are chosen on unseen answers, and what they promise is measured on the holdout."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from kft.evaluation.answering import choose_confidence, describe_answering, measure_answering
from kft.tasks import find_task

NAMES = ("ant", "bee", "fly")


def draw_classes(count: int, seed: int):
    """Calibrated answers: classes are drawn by the stated probabilities."""
    random = np.random.default_rng(seed)
    outputs = special.softmax(random.normal(0, 2.5, (count, 3)), axis=1)
    targets = (outputs.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return outputs, targets


def test_the_error_of_sure_answers_and_the_coverage_of_sets_hold():
    told = measure_answering(
        find_task("class"), NAMES, draw_classes(2000, 0), draw_classes(2000, 1), error=0.05
    )
    low, high = told["error_95_percent_interval"]
    assert low < 0.05 and told["error"] < 0.07 and told["answered"] > 0.3 and high < 0.09
    low, high = told["sets"]["coverage_95_percent_interval"]
    assert low < 0.92 and high > 0.88
    threshold, sets = describe_answering(told)
    assert threshold.startswith("It is sure of ") and "stated at most 5.0 %" in threshold
    assert "stated 90.0 %" in sets


def test_a_threshold_lies_between_two_answers():
    outputs = np.array([[0.9, 0.1]] * 60 + [[0.6, 0.4]] * 40)
    targets = np.array([0] * 60 + [0, 1] * 20)
    chosen = choose_confidence(find_task("class"), outputs, targets, 0.05)
    assert chosen == pytest.approx(0.75)
    assert choose_confidence(find_task("class"), outputs, 1 - targets, 0.05) is None


def test_a_model_that_is_never_sure_says_so():
    answers = draw_classes(20, 0)
    told = measure_answering(find_task("class"), NAMES, answers, answers, error=0.01)
    assert told["threshold"] is None and told["answered"] == 0 and told["error"] is None
    assert next(describe_answering(told)) == (
        "It is never sure: 20 unseen answers cannot show an error of at most 1.0 %."
    )


def test_labels_get_a_threshold_each_and_numbers_none():
    random = np.random.default_rng(0)
    truth = (random.random((400, 2)) < (0.1, 0.5)).astype(np.float32)
    # The first label is rare, and its probabilities stay low.
    outputs = np.clip(truth * (0.2, 0.5) + random.normal(0.1, 0.05, (400, 2)), 0, 1)
    unseen, held = (outputs[:200], truth[:200]), (outputs[200:], truth[200:])
    told = measure_answering(find_task("labels"), ("rare", "common"), unseen, held, error=None)
    assert told["label_thresholds"]["rare"] < 0.4
    assert told["macro_f1"] > told["macro_f1_at_one_half"]
    assert next(describe_answering(told)).startswith("With a threshold for each label, macro F1")
    assert measure_answering(find_task("number"), ("x", "y"), unseen, held, error=None) == {}
