"""Calibration against definitions, scikit-learn and made probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sklearn import metrics

from kft.evaluation.calibration import (
    brier_scores,
    measure_reliability,
)


def draw(count: int, num_classes: int = 4, *, temperature: float = 1.0, seed: int = 0):
    """Logits that are right at a temperature, and classes drawn by them."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, num_classes))
    probabilities = special.softmax(logits / temperature, axis=1)
    targets = (probabilities.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return logits, np.minimum(targets, num_classes - 1)


def test_the_table_holds_every_event_once():
    stated = np.random.default_rng(0).random(1000)
    came_true = np.random.default_rng(1).random(1000) < stated
    table = measure_reliability(stated, came_true)
    assert table.examples.sum() == 1000 and len(table.examples) == 15
    assert np.ptp(table.examples) <= 1
    assert (np.diff(table.stated) > 0).all()
    assert (table.observed * table.examples).sum() == pytest.approx(came_true.sum())
    assert (table.intervals[:, 0] <= table.observed).all()
    error = np.sum(np.abs(table.stated - table.observed) * table.examples) / 1000
    assert table.error == pytest.approx(error)
    described = table.describe()
    assert described["expected_calibration_error"] == table.error
    assert described["bins"][0]["examples"] == table.examples[0]


def test_equal_probabilities_are_in_one_bin():
    table = measure_reliability(np.full(400, 0.9), np.arange(400) % 10 > 0)
    assert table.examples.tolist() == [400]
    assert table.error == pytest.approx(0)
    few = measure_reliability(np.array([0.2]), np.array([False]))
    assert (few.examples.tolist(), few.error) == ([1], pytest.approx(0.2))


def test_few_events_have_few_bins():
    assert len(measure_reliability(np.linspace(0, 1, 45), np.ones(45, bool)).examples) == 2


def test_a_calibrated_model_is_rarely_called_off_and_an_overconfident_one_is():
    called = []
    for seed in range(60):
        logits, targets = draw(300, seed=seed)
        outputs = special.softmax(logits, axis=1)
        is_right = outputs.argmax(axis=1) == targets
        called.append(measure_reliability(outputs.max(axis=1), is_right).is_off)
    assert np.mean(called) < 0.15
    logits, targets = draw(300, temperature=2.0)
    outputs = special.softmax(logits, axis=1)
    is_right = outputs.argmax(axis=1) == targets
    assert measure_reliability(outputs.max(axis=1), is_right).is_off


def test_brier_scores_are_those_of_scikit_learn():
    logits, targets = draw(200)
    outputs = special.softmax(logits, axis=1)
    expected = metrics.brier_score_loss(targets, outputs, labels=range(4), scale_by_half=False)
    assert brier_scores(outputs, targets).mean() == pytest.approx(expected)
    labels = (outputs[:, :2] > 0.3).astype(np.float32)
    expected = np.mean([metrics.brier_score_loss(labels[:, i], outputs[:, i]) for i in range(2)])
    assert brier_scores(outputs[:, :2], labels).mean() == pytest.approx(expected)
