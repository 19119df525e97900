"""Figures of a split are complete, whatever the task."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kft.evaluation.judgement import judge
from kft.tasks import find_task

PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


def test_answers_with_probabilities_are_judged_for_calibration():
    targets = np.array([0, 1, 1])
    figures = judge(find_task("class"), "ab", targets, PROBABILITIES, train_targets=targets)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["task"] == "classification"
    assert figures["brier_score"] == pytest.approx((0.02 + 0.08 + 0.72) / 3)
    (only,) = figures["calibration"]["bins"]
    assert (only["examples"], only["stated"]) == (3, pytest.approx(2.3 / 3))
    labels = np.eye(2)[targets]
    figures = judge(find_task("labels"), "ab", labels, PROBABILITIES, train_targets=labels)
    assert figures["calibration"]["bins"][0]["examples"] == 6


def test_numbers_have_no_calibration():
    numbers = np.arange(6.0).reshape(3, 2)
    figures = judge(find_task("number"), "ab", numbers, numbers + 1, train_targets=numbers)
    assert "calibration" not in figures
    assert figures["numbers"]["a"]["mean_absolute_error"] == 1.0


def test_the_calibration_error_before_a_temperature_stands_beside_that_after():
    targets = np.array([0, 1, 1])
    sure = np.eye(2)[[0, 1, 0]]
    of = {"train_targets": targets, "uncooled": sure}
    figures = judge(find_task("class"), "ab", targets, PROBABILITIES, **of)["calibration"]
    before = figures["expected_calibration_error_before_temperature"]
    assert before == pytest.approx(1 / 3)
    assert figures["expected_calibration_error"] < before
