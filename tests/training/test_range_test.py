"""A range test reads a rate off the loss, and leaves the model as it was."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kft.errors import TrainingError
from kft.training import range_test
from kft.training.range_test import ExponentialRise, ease, find_rate, read_curve, smooth


@pytest.fixture
def batches() -> tf.data.Dataset:
    """Four batches of two classes that a line separates; each batch is harder than the last."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(64, 6)).astype(np.float32)
    targets = (inputs[:, 0] + np.repeat([0.0, 0.3, 0.6, 0.9], 16) * inputs[:, 1] > 0).astype(int)
    return tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(16)


@pytest.fixture
def make_model():
    def make(optimizer=None, dropout: float = 0.0):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6,))
        hidden = keras.layers.Dense(16, activation="relu")(inputs)
        hidden = keras.layers.BatchNormalization()(keras.layers.Dropout(dropout)(hidden))
        model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
        model.compile(
            optimizer or keras.optimizers.Adam(),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        return model

    return make


def curve(fall: float, lowest: float = 1e-2, noise: float = 0.0, seed: int = 0):
    """Rates and losses of a curve that falls from 1 about a decade before `lowest`, then bursts."""
    rates = 10 ** np.linspace(-6, 0, 100)
    position = np.log10(rates / lowest)
    losses = 1 - fall / (1 + np.exp(-6 * (position + 0.7))) + np.exp(6 * (position - 0.7))
    keep = losses < 5
    losses = losses + np.random.default_rng(seed).normal(0, noise, 100)
    return rates[keep], losses[keep]


# A model


def test_the_suggested_rate_learns_and_a_hundredth_and_the_last_do_not(batches, make_model):
    found = find_rate(make_model(), batches, low=1e-6, high=10.0, steps=80)
    assert found.is_conclusive
    assert found.cautious <= found.suggestion <= found.lowest
    ends = {}
    for rate in (found.suggestion / 100, found.suggestion, float(found.rates[-1])):
        model = make_model(keras.optimizers.Adam(rate))
        ends[rate] = model.fit(batches, epochs=10, verbose=0, shuffle=False).history["loss"][-1]
    assert min(ends, key=ends.get) == found.suggestion
    assert ends[found.suggestion] < 0.75 * ends[found.suggestion / 100]


def test_the_model_is_as_it_was_to_the_last_bit(batches, make_model):
    model = make_model(dropout=0.2)
    before = [variable.numpy() for variable in model.variables]
    find_rate(model, batches, low=1e-5, high=1.0, steps=20)
    for variable, value in zip(model.variables, before, strict=True):
        assert np.array_equal(variable.numpy(), value), variable.path


def test_the_losses_are_those_of_single_batches(batches, make_model):
    """At rates too small to move anything, each pass over the batches sees the same losses."""
    model = make_model(keras.optimizers.SGD())
    found = find_rate(model, batches, low=1e-12, high=1e-11, steps=12)
    assert np.allclose(found.losses[:4], found.losses[4:8], rtol=1e-4)
    assert np.ptp(found.losses[:4]) > 1e-2
    assert not found.has_exploded
    assert not found.is_conclusive
    assert found.rates[[0, -1]] == pytest.approx([1e-12, 1e-11])


def test_a_rate_that_makes_the_loss_explode_ends_the_test(batches, make_model):
    model = make_model(keras.optimizers.SGD())
    found = find_rate(model, batches, low=1e-4, high=1e9, steps=60)
    assert found.has_exploded
    assert len(found.rates) < 60
    assert np.isfinite(found.smoothed).all()


def test_two_tests_see_the_same(batches, make_model):
    one, other = (find_rate(make_model(), batches, low=1e-5, high=1.0, steps=30) for _ in range(2))
    assert np.array_equal(one.losses, other.losses)
    assert one.suggestion == other.suggestion


def test_progress_reaches_its_end(batches, make_model):
    told = []
    find_rate(
        make_model(),
        batches,
        low=1e-5,
        high=1.0,
        steps=10,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (20, 20)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_model_without_a_number_for_a_loss_is_refused(batches, make_model):
    model = make_model()
    model.layers[-1].bias.assign([np.nan, 0.0])
    with pytest.raises(TrainingError, match="no number after 0 steps"):
        find_rate(model, batches, low=1e-5, high=1.0, steps=20)


def test_the_rate_rises_by_one_factor_from_low_to_high():
    schedule = ExponentialRise(1e-4, 1e-1, 31)
    rates = [float(schedule(step)) for step in range(31)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[-1] == pytest.approx(1e-1, rel=1e-4)
    assert np.ptp(np.diff(np.log(rates))) < 1e-4
    assert schedule.get_config() == {"low": 1e-4, "high": 1e-1, "steps": 31}


# A curve


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lowest", [1e-4, 1e-2])
def test_the_steepest_fall_is_suggested(lowest, seed):
    rates, losses = curve(0.8, lowest, noise=0.03, seed=seed)
    found = read_curve(rates, losses, np.ones(100), has_exploded=True)
    assert found.is_conclusive
    # The fall is steepest 0.7 decades before the nominal minimum.
    assert np.log10(found.suggestion / lowest) == pytest.approx(-0.7, abs=0.25)
    assert np.log10(found.lowest / lowest) == pytest.approx(0, abs=0.4)
    assert found.cautious == pytest.approx(min(found.suggestion, found.lowest / 10), rel=0.06)


@pytest.mark.parametrize("seed", range(5))
def test_a_flat_curve_suggests_what_does_no_harm(seed):
    rates, losses = curve(0.0, 1e-2, noise=0.05, seed=seed)
    found = read_curve(rates, losses, np.ones(100), has_exploded=True)
    assert not found.is_conclusive
    assert found.suggestion == found.cautious
    # Beyond about 2e-2 the loss rises.
    assert 2e-4 < found.suggestion < 6e-3


@pytest.mark.parametrize("seed", range(5))
def test_hard_batches_do_not_mislead(seed):
    """The fall is a tenth of how much batches differ."""
    rates, losses = curve(0.3)
    rng = np.random.default_rng(seed)
    hardness = rng.normal(3, 1.0, 100)
    seen = losses + hardness[: len(losses)] + rng.normal(0, 0.02, len(losses))
    found = read_curve(rates, seen, hardness, has_exploded=True)
    assert found.is_conclusive
    assert np.log10(found.suggestion) == pytest.approx(-2.7, abs=0.3)


def test_hardness_that_explains_nothing_changes_little():
    rng = np.random.default_rng(0)
    losses, hardness = rng.normal(size=100), rng.normal(size=100)
    assert np.std(ease(losses, hardness) - losses) < 0.3
    assert np.array_equal(ease(losses, np.ones(100)), losses)


def test_losses_that_are_no_numbers_end_the_curve():
    rates, losses = curve(0.8)
    losses[-3:] = np.nan
    found = read_curve(rates, losses, np.ones(100), has_exploded=True)
    assert len(found.rates) == len(rates) - 3
    assert json.loads(json.dumps(found.describe(), allow_nan=False))["has_exploded"] is True


@given(st.floats(-5, 5), st.floats(-3, 3), st.integers(10, 120))
def test_a_straight_line_is_smooth_already(level, slope, count):
    positions = np.linspace(-6, 0, count)
    values = level + slope * positions
    assert np.allclose(smooth(positions, values), values, atol=1e-6)


def test_smoothing_lags_nowhere():
    positions = np.linspace(-6, 0, 101)
    step = (positions > -3).astype(float)
    middle = smooth(positions, step)[50]
    assert middle == pytest.approx(0.5, abs=0.1)
    assert range_test.SMOOTHING_DECADES < 1
