"""float16 is judged by the error that it makes."""

import numpy as np
import pytest

from kft.features.rounding import LARGEST_NOISE, rounding_noise, to_float16

VALUES = np.random.default_rng(0).normal(0, 1, (20, 5, 5, 4)).astype(np.float32)


def test_rounding_of_varying_numbers_is_far_below_their_variation():
    assert 1e-4 < rounding_noise(VALUES) < 5e-4 < LARGEST_NOISE


@pytest.mark.parametrize("offset", [10.0, 1000.0])
def test_rounding_loses_small_variation_around_a_large_mean(offset):
    assert rounding_noise(VALUES + np.float32(offset)) > LARGEST_NOISE


def test_constant_numbers_lose_nothing_or_everything():
    constant = np.ones((3, 2), np.float32)
    assert rounding_noise(constant) == 0
    assert rounding_noise(constant / np.float32(3)) == np.inf


def test_numbers_beyond_float16_are_never_lossless():
    large = VALUES.copy()
    large[0, 0, 0, 0] = 1e5
    assert to_float16(large) is None
    assert rounding_noise(large) == np.inf


def test_numbers_that_are_not_finite_are_not_blamed_on_float16():
    values = VALUES.copy()
    values[0, 0, 0, 0] = np.nan
    assert np.isnan(to_float16(values)[0, 0, 0, 0])
