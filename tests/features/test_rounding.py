"""float16 is judged by what it loses, not by its name."""

import numpy as np
import pytest

from kft.features.rounding import LARGEST_NOISE, rounding_noise, to_float16

VALUES = np.random.default_rng(0).normal(0, 1, (20, 5, 5, 4)).astype(np.float32)


def test_rounding_of_what_varies_is_far_below_the_variation():
    assert 1e-4 < rounding_noise(VALUES) < 5e-4 < LARGEST_NOISE


@pytest.mark.parametrize("offset", [10.0, 1000.0])
def test_variation_around_a_large_mean_is_lost_in_rounding(offset):
    assert rounding_noise(VALUES + np.float32(offset)) > LARGEST_NOISE


def test_constant_numbers_lose_nothing_or_all():
    constant = np.ones((3, 2), np.float32)
    assert rounding_noise(constant) == 0
    assert rounding_noise(constant / np.float32(3)) == np.inf


def test_numbers_beyond_float16_are_never_lossless():
    large = VALUES.copy()
    large[0, 0, 0, 0] = 1e5
    assert to_float16(large) is None
    assert rounding_noise(large) == np.inf


def test_what_is_not_finite_already_is_not_the_fault_of_float16():
    values = VALUES.copy()
    values[0, 0, 0, 0] = np.nan
    assert np.isnan(to_float16(values)[0, 0, 0, 0])
