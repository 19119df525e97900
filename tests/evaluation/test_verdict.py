"""The verdict says no more than the figures."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.calibration import measure_reliability
from kft.evaluation.verdict import (
    judge_baseline,
    judge_calibration,
    judge_fine_tuning,
    judge_names,
)
from kft.tasks.figures import Lead


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((0.7, 0.9), "clearly better than guessing (50.0 %)"),
        ((0.4, 0.9), "cannot be told from guessing (50.0 %)"),
        ((0.1, 0.4), "worse than guessing (50.0 %): it has learned nothing"),
        (None, "guessing gives 50.0 %"),
    ],
)
def test_the_model_is_compared_with_its_baseline(interval, said):
    assert said in judge_baseline(Lead("accuracy", 0.8, interval, "guessing", 0.5))


def test_a_lower_error_is_better():
    lead = Lead("mean absolute error", 2.0, (1.5, 2.5), "the mean", 4.0, is_share=False)
    assert judge_baseline(lead).endswith("is 2.000, clearly better than the mean (4.000).")


@pytest.mark.parametrize(
    ("change", "is_better", "is_undone", "said"),
    [
        ((0.05, 0.01, 0.09), True, False, "helped beyond chance"),
        ((-0.05, -0.09, -0.01), False, True, "hurt"),
        ((0.01, -0.02, 0.04), False, True, "cannot be told"),
        ((0.01, None, None), False, True, "cannot be told"),
    ],
)
def test_fine_tuning_is_judged_by_the_last_comparison(change, is_better, is_undone, said):
    accuracy = dict(zip(("gain", "low", "high"), change, strict=True))
    comparison = {"accuracy": accuracy, "loss": accuracy, "is_better": is_better}
    phases = [{"name": "probe"}, {"comparison": comparison, "is_undone": is_undone}]
    sentence = judge_fine_tuning(phases)
    assert said in sentence
    assert ("the model before it was kept" in sentence) == is_undone
    loss = judge_fine_tuning([{"comparison": {**comparison, "accuracy": None}}])
    assert "reduction of the loss on examples that neither had seen" in loss
    assert judge_fine_tuning([{"name": "probe"}]) is None


def test_calibration_has_a_direction():
    stated = np.full(400, 0.9)
    assert "come true" in judge_calibration(measure_reliability(stated, np.arange(400) % 10 > 0))
    surer = judge_calibration(measure_reliability(stated, np.arange(400) % 2 > 0))
    assert "surer of itself than it should be" in surer and "40 points" in surer
    less = judge_calibration(measure_reliability(1 - stated, np.arange(400) % 2 > 0))
    assert "less sure of itself" in less


def test_a_class_that_stands_out_is_named_with_a_remedy():
    names = {
        "ant": {"recall": 0.95, "examples": 100},
        "bee": {"recall": 0.97, "examples": 100},
        "fly": {"recall": 0.4, "examples": 50},
        "unjudged": {"recall": None, "examples": 0},
    }
    rare = judge_names(names, "class", {"ant": 300, "bee": 280, "fly": 20})
    assert "class 'fly' least: 20 of 50. It has 20 training examples, others 280" in rare
    alike = judge_names(names, "class", {"ant": 300, "bee": 280, "fly": 400})
    assert "are labels wrong, or does it resemble another?" in alike
    assert "More labels of it" in judge_names(names, "class", {})
    even = {name: {"recall": 0.9, "examples": 20} for name in "abc"}
    assert judge_names(even, "class", {}) is None
    assert judge_names({"a": {"mean_absolute_error": 1.0}}, "number", {}) is None
