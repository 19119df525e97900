"""A range test reads a learning rate from the loss and restores the model."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.errors import TrainingError
from kft.training.range_test import find_rate, read_curve, smooth


@pytest.fixture
def batches() -> tf.data.Dataset:
    """Four batches of two linearly separable classes, each batch harder than the last."""
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


def curve(fall: float, noise: float = 0.0, seed: int = 0):
    """Make rates and losses of a curve that falls from 1 around 2e-3 and explodes from 2e-2 on."""
    rates = np.geomspace(1e-6, 1.0, 100)
    position = np.log10(rates)
    losses = 1 - fall / (1 + np.exp(-6 * (position + 2.7))) + np.exp(6 * (position + 1.3))
    losses += np.random.default_rng(seed).normal(0, noise, 100)
    return rates, losses.tolist()


# A model


@pytest.mark.full
def test_the_suggested_rate_trains_better_than_a_hundredth_of_it_and_the_last(batches, make_model):
    found = find_rate(make_model(), batches, low=1e-6, high=10.0, steps=80)
    assert found.cautious <= found.suggestion <= found.lowest
    ends = {}
    for rate in (found.suggestion / 100, found.suggestion, found.rates[-1]):
        model = make_model(keras.optimizers.Adam(rate))
        ends[rate] = model.fit(batches, epochs=10, verbose=0, shuffle=False).history["loss"][-1]
    assert min(ends, key=ends.get) == found.suggestion
    assert ends[found.suggestion] < 0.75 * ends[found.suggestion / 100]


def test_the_model_is_restored_bit_for_bit(batches, make_model):
    model = make_model(dropout=0.2)
    before = [variable.numpy() for variable in model.variables]
    find_rate(model, batches, low=1e-5, high=1.0, steps=20)
    for variable, value in zip(model.variables, before, strict=True):
        assert np.array_equal(variable.numpy(), value), variable.path


def test_losses_are_those_of_single_batches(batches, make_model):
    """At rates too small to change anything, each pass over the batches has the same losses."""
    model = make_model(keras.optimizers.SGD())
    found = find_rate(model, batches, low=1e-12, high=1e-11, steps=20)
    assert np.allclose(found.losses[:4], found.losses[4:8], rtol=1e-4)
    assert np.ptp(found.losses[:4]) > 1e-2
    assert not found.has_exploded
    assert found.suggestion is None


def test_the_rate_rises_by_a_constant_factor_and_each_step_is_reported(batches, make_model):
    model, reported, used = make_model(), [], []

    def watch(done: int, total: int) -> None:
        reported.append((done, total))
        # The optimizer holds the rate of the next step.
        used.append(float(model.optimizer.learning_rate))

    found = find_rate(model, batches, low=1e-5, high=1e-3, steps=21, progress=watch)
    assert reported == [(step, 21) for step in range(1, 22)]
    assert used[:-1] == pytest.approx(found.rates[1:], rel=1e-4)
    assert [found.rates[0], found.rates[10], found.rates[20]] == pytest.approx([1e-5, 1e-4, 1e-3])


def test_an_exploding_loss_ends_the_test(batches, make_model):
    model = make_model(keras.optimizers.SGD())
    found = find_rate(model, batches, low=1e-4, high=1e9, steps=60)
    assert found.has_exploded
    assert len(found.rates) < 60
    assert np.isfinite(found.smoothed).all()


def test_two_tests_give_the_same_result(batches, make_model):
    one, other = (find_rate(make_model(), batches, low=1e-5, high=1.0, steps=30) for _ in range(2))
    assert one == other


def test_a_model_without_a_finite_loss_is_refused(batches, make_model):
    model = make_model()
    model.layers[-1].bias.assign([np.nan, 0.0])
    with pytest.raises(TrainingError, match=r"the loss is nan at step 1, at a rate of 1\.0e-05"):
        find_rate(model, batches, low=1e-5, high=1.0, steps=20)


# A curve


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("noise", [0.0, 0.03, 0.1])
def test_the_steepest_fall_is_suggested(noise, seed):
    found = read_curve(*curve(0.8, noise, seed))
    # The smoothed loss lags behind the steepest fall at 2e-3.
    assert 2e-3 < found.suggestion < 1.2e-2
    assert 5e-3 < found.lowest < 5e-2
    assert found.cautious == pytest.approx(min(found.suggestion, found.lowest / 10), rel=0.06)
    assert found.has_exploded


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fall, noise", [(0.0, 0.0), (0.0, 0.05), (0.05, 0.01), (0.3, 1.0)])
def test_a_small_or_insignificant_fall_suggests_nothing(fall, noise, seed):
    found = read_curve(*curve(fall, noise, seed))
    assert found.suggestion is None
    assert found.cautious is None


def test_the_curve_ends_at_the_first_loss_that_is_not_finite():
    rates, losses = curve(0.8)
    found = read_curve(rates, [*losses[:70], np.nan, *losses[71:]])
    assert found.losses == losses[:70]
    assert json.loads(json.dumps(vars(found), allow_nan=False))["has_exploded"] is True
    assert found.points()[69] == {
        "step": 69,
        "rate": rates[69],
        "loss": losses[69],
        "smoothed_loss": found.smoothed[69],
    }


def test_the_smoothed_loss_is_a_mean_with_weights_that_decay_by_two_percent_per_step():
    losses = np.random.default_rng(0).normal(size=30)
    weights = 0.98 ** np.arange(30)[::-1]
    assert smooth(losses)[-1] == pytest.approx(np.average(losses, weights=weights))
    assert smooth(losses)[0] == pytest.approx(losses[0])
