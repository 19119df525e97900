"""Thresholds and sets keep to the stated error on examples that did not choose them."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.abstention import (
    choose_label_thresholds,
    choose_threshold,
    fit_conformal,
    make_conformal_sets,
    measure_abstention,
    trace_risk,
)


def draw_answers(count: int, seed: int):
    """Confidences, and answers that are right as often as these say."""
    random = np.random.default_rng(seed)
    confidence = random.beta(5, 1, count)
    return confidence, random.random(count) < confidence


def test_the_curve_counts_wrong_answers_among_the_surest():
    curve = trace_risk(np.array([0.9, 0.5, 0.7, 0.7]), np.array([True, False, True, False]))
    assert curve.coverage.tolist() == [0.25, 0.75, 1.0]
    assert curve.risk.tolist() == pytest.approx([0, 1 / 3, 1 / 2])
    assert curve.thresholds.tolist() == [0.9, 0.7, 0.5]
    assert curve.area == pytest.approx(0.5 * (1 / 3) + 0.25 * 0.5)


def test_a_threshold_keeps_to_the_error_on_other_examples():
    errors, coverages = [], []
    for seed in range(40):
        threshold = choose_threshold(*draw_answers(500, seed), error=0.05)
        measured = measure_abstention(*draw_answers(500, 1000 + seed), threshold)
        errors.append(measured.error)
        coverages.append(measured.coverage)
    assert np.mean(errors) == pytest.approx(0.05, abs=0.01)
    assert np.mean(coverages) > 0.3


def test_too_few_answers_for_an_error_have_no_threshold():
    confidence, is_right = np.linspace(0.5, 1, 48), np.ones(48, bool)
    assert choose_threshold(confidence, is_right, 0.02) is None
    assert choose_threshold(np.append(confidence, 0.4), np.ones(49, bool), 0.02) == 0.4


def test_equal_confidences_are_answered_together():
    assert choose_threshold(np.full(100, 0.9), np.arange(100) > 20, 0.1) is None
    assert choose_threshold(np.full(100, 0.9), np.arange(100) > 5, 0.1) == 0.9


def test_a_threshold_above_all_answers_has_no_error():
    measured = measure_abstention(np.array([0.5, 0.6]), np.array([True, False]), 0.7)
    assert (measured.coverage, measured.error, measured.interval) == (0.0, None, None)


def draw_probabilities(count: int, seed: int):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(5, 0.3), count)
    targets = (probabilities.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return probabilities, np.minimum(targets, 4)


@pytest.mark.parametrize("count", [99, 100, 137])
@pytest.mark.parametrize("error", [0.05, 0.1, 0.3])
def test_conformal_sets_are_those_of_the_definition(count, error):
    probabilities, targets = draw_probabilities(count, 0)
    scores = np.sort(1 - probabilities[np.arange(count), targets])
    place = next(k for k in range(count + 1) if k >= (count + 1) * (1 - error) - 1e-9)
    sets = make_conformal_sets(probabilities, fit_conformal(probabilities, targets, error))
    assert (sets == (1 - probabilities <= scores[place - 1] + 1e-12)).all()
    # MAPIE takes NumPy's quantile, which is the same score or the next one.
    level = (count + 1) * (1 - error) / count
    assert np.quantile(scores, level, method="higher") in scores[place - 1 : place + 1]


def test_conformal_sets_hold_the_true_class_as_often_as_stated():
    covered = []
    for seed in range(300):
        threshold = fit_conformal(*draw_probabilities(60, seed), error=0.1)
        probabilities, targets = draw_probabilities(60, 1000 + seed)
        sets = make_conformal_sets(probabilities, threshold)
        covered.append(sets[np.arange(60), targets].mean())
    assert np.mean(covered) == pytest.approx(1 - 0.1 + 0.1 / 61, abs=0.01)


def test_sets_of_too_few_examples_hold_every_class():
    probabilities, targets = draw_probabilities(8, 0)
    assert fit_conformal(probabilities, targets, 0.1) == 0.0
    assert make_conformal_sets(probabilities, 0.0).all()


def test_thresholds_of_labels_give_the_best_f1():
    random = np.random.default_rng(0)
    targets = (random.random((80, 3)) < (0.1, 0.5, 0)).astype(np.float32)
    probabilities = np.round(0.2 * random.random((80, 3)) + 0.1 * targets, 2)
    thresholds = choose_label_thresholds(probabilities, targets)
    assert thresholds[2] == 0.5
    for label in (0, 1):
        column, truth = probabilities[:, label], targets[:, label] > 0.5

        def f1(threshold, column=column, truth=truth):
            answers = column >= threshold
            return 2 * (answers & truth).sum() / (answers.sum() + truth.sum())

        assert f1(thresholds[label]) == max(map(f1, column))
