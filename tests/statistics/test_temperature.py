"""Temperatures against those that made the targets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from kft.evaluation.calibration import measure_reliability
from kft.statistics import apply_temperature, fit_temperature


def draw(count: int, num_classes: int = 4, *, temperature: float = 1.0, seed: int = 0):
    """Logits that are right at a temperature, and classes drawn by them."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, num_classes))
    probabilities = special.softmax(logits / temperature, axis=1)
    targets = (probabilities.cumsum(axis=1) < random.random((count, 1))).sum(axis=1)
    return logits, np.minimum(targets, num_classes - 1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_classes_is_found(temperature):
    logits, targets = draw(5000, temperature=temperature)
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_lowers_the_calibration_error_and_keeps_the_answers():
    logits, targets = draw(2000, temperature=3.0)
    cooled = apply_temperature(logits, fit_temperature(logits, targets))
    assert (cooled.argmax(axis=1) == logits.argmax(axis=1)).all()
    before, after = (
        measure_reliability(
            special.softmax(each, axis=1).max(axis=1), each.argmax(axis=1) == targets
        ).error
        for each in (logits, cooled)
    )
    assert after < before / 4


def test_the_temperature_of_labels_is_found():
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (3000, 2))
    targets = (random.random((3000, 2)) < special.expit(logits / 2)).astype(np.float32)
    assert fit_temperature(logits, targets) == pytest.approx(2, rel=0.06)


def test_a_few_right_answers_are_no_proof_of_certainty_but_many_are():
    few, many = (np.tile([0, 1, 2], count) for count in (1, 1000))
    cold, colder = (fit_temperature(np.eye(3)[targets], targets) for targets in (few, many))
    assert 0.5 < cold < 1
    assert 0.02 <= colder < 0.25


def test_few_examples_hardly_move_the_temperature():
    logits, targets = draw(5, temperature=0.3)
    assert 0.5 < fit_temperature(logits, targets) < 2
