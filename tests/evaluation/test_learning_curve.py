"""Learning curves are found again in their points, with the noise of these."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.learning_curve import extrapolate, fit_learning_curve

LABELS = np.array([30.0, 75, 150, 300])


@pytest.mark.parametrize("floor", [0.0, 0.08])
@pytest.mark.parametrize("exponent", [0.3, 0.7])
def test_a_power_law_is_found_again(floor, exponent):
    errors = floor + 2 * LABELS**-exponent
    curve = fit_learning_curve(LABELS, errors, np.full(4, 0.01))
    assert curve.predict(600) == pytest.approx(floor + 2 * 600**-exponent, rel=1e-6)


def test_errors_that_do_not_fall_stay_where_they_are():
    curve = fit_learning_curve(LABELS, np.array([0.10, 0.11, 0.12, 0.13]), np.full(4, 0.01))
    assert curve.scale == 0
    assert curve.predict(600) == pytest.approx(0.115)


def test_an_error_never_falls_below_zero():
    curve = fit_learning_curve(LABELS, np.array([0.5, 0.2, 0.05, 0.0]), np.full(4, 0.01))
    assert curve.floor == 0
    assert curve.predict(1e9) >= 0


def test_the_interval_covers_the_error_to_come():
    truth = 0.05 + LABELS**-0.5
    deviations = np.sqrt(truth * (1 - truth) / 300)
    expected = 0.05 + 600**-0.5
    covered = 0
    for seed in range(100):
        noise = np.random.default_rng(seed).normal(0, deviations)
        found = extrapolate(LABELS, truth + noise, deviations, 600)
        assert found.low <= found.high and found.labels == 600
        covered += found.low <= expected <= found.high
    assert covered >= 88


def test_the_same_seed_predicts_the_same():
    arguments = (LABELS, np.array([0.3, 0.2, 0.16, 0.12]), np.full(4, 0.02), 600)
    assert extrapolate(*arguments) == extrapolate(*arguments)
