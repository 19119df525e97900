"""float16 is judged by what it loses, not by its name."""

import numpy as np
import pytest

from kft.features import Judge
from kft.features.rounding import measure_rounding, to_float16

VALUES = np.random.default_rng(0).normal(0, 1, (20, 5, 5, 4)).astype(np.float32)


def test_rounding_of_what_varies_is_far_below_the_variation():
    rounding = measure_rounding(VALUES, lambda inputs: inputs, None)
    assert 1e-4 < rounding.noise < 5e-4
    assert rounding.accuracy_loss is None
    assert rounding.is_lossless


@pytest.mark.parametrize("offset", [10.0, 1000.0])
def test_variation_around_a_large_mean_is_lost_in_rounding(offset):
    assert not measure_rounding(
        VALUES + np.float32(offset), lambda inputs: inputs, None
    ).is_lossless


def test_constant_numbers_lose_nothing_or_all():
    constant = np.ones((3, 2), np.float32)
    assert measure_rounding(constant, lambda inputs: inputs, None).is_lossless
    third = constant / np.float32(3)
    assert not measure_rounding(third, lambda inputs: inputs, None).is_lossless


@pytest.mark.parametrize(("loss", "is_lossless"), [(-0.1, True), (0.0049, True), (0.0051, False)])
def test_a_judge_decides_by_the_accuracy_of_all_inputs(loss, is_lossless):
    accuracies = iter([0.5, 0.5 - loss])
    judge = Judge(lambda: [VALUES[:9] * 2, VALUES[9:] * 2], 20, lambda vectors: next(accuracies))
    rounding = measure_rounding(VALUES, lambda inputs: inputs + 1, judge)
    assert rounding.accuracy_loss == pytest.approx(loss)
    assert rounding.is_lossless is is_lossless


def test_numbers_beyond_float16_are_never_lossless():
    large = VALUES.copy()
    large[0, 0, 0, 0] = 1e5
    assert to_float16(large) is None
    assert not measure_rounding(large, lambda inputs: inputs, None).is_lossless
    judge = Judge(lambda: [VALUES, large], 40, lambda vectors: 0.9)
    assert not measure_rounding(VALUES, lambda inputs: inputs, judge).is_lossless


def test_what_is_not_finite_already_is_not_the_fault_of_float16():
    values = VALUES.copy()
    values[0, 0, 0, 0] = np.nan
    assert np.isnan(to_float16(values)[0, 0, 0, 0])
