"""The verdict says no more than the figures."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.calibration import measure_reliability
from kft.evaluation.ladder import LearningPoint, Rung
from kft.evaluation.verdict import (
    judge_baseline,
    judge_calibration,
    judge_fine_tuning,
    judge_labels,
    judge_names,
    judge_training_labels,
)
from kft.statistics import Difference
from kft.tasks.figures import Lead


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((0.7, 0.9), "clearly better than guessing (50.0 %)"),
        ((0.4, 0.9), "no better than guessing (50.0 %) beyond chance"),
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
    probe, fitted = {"method": "solve"}, {"method": "fit", "is_undone": is_undone}
    phases = [probe, {**fitted, "comparison": comparison}]
    sentence = judge_fine_tuning(phases)
    assert said in sentence
    assert ("the model before it was kept" in sentence) == is_undone
    loss = judge_fine_tuning([{**fitted, "comparison": {**comparison, "accuracy": None}}])
    assert "reduction of the loss on examples that neither had seen" in loss
    assert judge_fine_tuning([probe]) is None


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.05, 0.01, 0.09), "helped beyond chance (+0.050 over the layered probe"),
        ((-0.05, -0.09, -0.01), "hurt (-0.050 over the layered probe, 95 % interval"),
        ((0.01, -0.02, 0.04), "cannot be told"),
        ((0.0, 0.0, 0.0), "made no difference to the layered probe"),
    ],
)
def test_the_same_examples_of_the_holdout_tell_more_than_validation(ends, said):
    phases = [{"method": "solve"}, {"method": "fit", "is_undone": False}]
    rungs = [Rung("layered probe", 0.8, difference=Difference(*ends)), Rung("this model", 0.85)]
    assert said in judge_fine_tuning(phases, rungs)


def make_blend(*losses: float):
    shares = np.linspace(0, 1, len(losses))
    return {"tried": [{"share": s, "loss": each} for s, each in zip(shares, losses, strict=True)]}


@pytest.mark.parametrize("name", ["candidates", "short_runs"])
@pytest.mark.parametrize(
    ("blends", "said"),
    [
        ((None, make_blend(0.5, 0.9)), "hurt: none of 2 trials was better than the probe; 1 div"),
        ((make_blend(0.5, 0.4999),), "did not help: its trial was not better than the probe."),
    ],
)
def test_a_run_whose_trials_all_failed_says_that_the_probe_was_kept(name, blends, said):
    tried = {name: {"tried": [{"blend": blend} for blend in blends]}}
    phases = [{"method": "solve"}, {"method": "fit", "is_undone": True, **tried}]
    sentence = judge_fine_tuning(phases)
    assert said in sentence and sentence.endswith("The probe was kept.")
    assert judge_fine_tuning([{"method": "fit", "is_undone": False}]) is None
    skipped = {"method": "fit", "is_undone": True, "needless_at_error": 0.004}
    assert "the probe is right on all but 0.4 %" in judge_fine_tuning([phases[0], skipped])


def test_a_budget_that_left_out_fine_tuning_is_named():
    phases = [{"method": "fit", "is_undone": True, "left_out": "fine-tuning"}]
    assert judge_fine_tuning(phases) == "The probe was kept: strategy.budget left out fine-tuning."


def test_the_learning_curve_tells_whether_labels_help():
    def judge(errors, deviation):
        points = [
            LearningPoint(labels, error, deviation)
            for labels, error in zip((50, 100, 200, 400), errors, strict=True)
        ]
        return judge_labels(points, is_share=True)

    steep = judge((0.4, 0.28, 0.2, 0.14), 0.002)
    assert steep.startswith("More labels would help: with 800 labels, a probe's error would be")
    assert judge((0.2, 0.2, 0.2, 0.2), 0.01).startswith("More labels of the same kind would hardly")
    assert judge_labels([LearningPoint(10, 0.2, 0.1)] * 3, is_share=True) is None


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


def test_training_labels_that_models_contradict_are_counted():
    targets = np.arange(100) % 2
    outputs = np.where(np.eye(2)[targets] > 0, 0.97, 0.03)
    assert judge_training_labels(outputs, targets) is None
    targets[:5] = 1 - targets[:5]
    assert "5 of 100 training labels are contradicted" in judge_training_labels(outputs, targets)
