"""Averages of weights are kept only if validation improves."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.config import HeadConfig
from kft.features import Forward
from kft.selection.averaging import ValidationScore, ValidationScorer, greedy_soup, mix, wise_ft
from kft.selection.snapshots import Weights, find_weights
from kft.tasks import find_task, make_head


class Bowl:
    """Model of one weight: its loss is the squared distance to `best`; accuracy falls at `edge`."""

    def __init__(self, present: float, best: float = 0.0, edge: float = 100.0) -> None:
        self.variable = keras.Variable(np.full((2,), present, np.float32))
        self.weights = Weights({"w": self.variable})
        self.best, self.edge, self.num_scored = best, edge, 0

    @property
    def present(self) -> float:
        return float(self.variable.numpy()[0])

    def score(self) -> ValidationScore:
        self.num_scored += 1
        return ValidationScore(
            (self.present - self.best) ** 2, 0.9 if self.present < self.edge else 0.5
        )


def at(value: float) -> dict[str, np.ndarray]:
    return {"w": np.full((2,), value, np.float32)}


# Soup


def test_a_soup_that_improves_validation_is_kept():
    bowl = Bowl(present=1.0)
    averaged = greedy_soup(
        bowl.weights,
        [("epoch 3", at(1.0)), ("epoch 2", at(-1.5)), ("epoch 4", at(8.0))],
        bowl.score,
    )
    assert averaged.is_kept
    assert bowl.present == -0.25
    assert [t.is_kept for t in averaged.tried] == [True, True, False]
    assert averaged.gain == pytest.approx(1 - 0.0625)
    assert "validation loss 1.0000 -> 0.0625 by epoch 3, epoch 2, accuracy" in str(averaged)


def test_snapshots_of_a_soup_have_equal_weight():
    bowl = Bowl(present=9.0)
    greedy_soup(bowl.weights, [(str(v), at(v)) for v in (3.0, -2.0, -1.0)], bowl.score)
    assert bowl.present == pytest.approx(0.0, abs=1e-6)


def test_a_soup_without_gain_does_not_change_the_weights():
    bowl = Bowl(present=0.1)
    averaged = greedy_soup(bowl.weights, [("a", at(1.0)), ("b", at(2.0))], bowl.score)
    assert not averaged.is_kept
    assert averaged.gain == 0.0
    assert not any(tried.is_kept for tried in averaged.tried)
    assert np.array_equal(bowl.variable.numpy(), at(0.1)["w"])
    assert "no gain" in str(averaged)


def test_a_soup_of_lower_accuracy_is_not_kept():
    """The average 0 has the lowest loss, but a lower accuracy than the present -1."""
    bowl = Bowl(present=-1.0, best=0.0, edge=-0.5)
    averaged = greedy_soup(bowl.weights, [("a", at(-1.0)), ("b", at(1.0))], bowl.score)
    assert averaged.tried[1].score.loss == 0.0
    assert not averaged.is_kept
    assert bowl.present == -1.0


def test_a_single_snapshot_is_not_a_soup():
    bowl = Bowl(present=1.0)
    assert not greedy_soup(bowl.weights, [("a", at(0.0))], bowl.score).is_kept
    assert bowl.present == 1.0


def test_each_snapshot_is_scored_once():
    bowl = Bowl(present=1.0)
    greedy_soup(bowl.weights, [(str(v), at(v)) for v in (1.0, 2.0, 3.0)], bowl.score)
    assert bowl.num_scored == 1 + 3


# WiSE-FT


def test_the_best_interpolation_is_kept():
    bowl = Bowl(present=7.0)
    averaged = wise_ft(bowl.weights, at(-3.0), bowl.score)
    assert bowl.present == pytest.approx(0.0, abs=1e-6)
    assert averaged.is_kept
    assert [t.name for t in averaged.tried if t.is_kept] == ["alpha 0.3"]
    assert len(averaged.tried) == 9


def test_the_best_fine_tuned_weights_are_kept_bit_for_bit():
    bowl = Bowl(present=0.1)
    averaged = wise_ft(bowl.weights, at(2.0), bowl.score)
    assert not averaged.is_kept
    assert np.array_equal(bowl.variable.numpy(), at(0.1)["w"])


def test_an_interpolation_of_lower_accuracy_is_not_kept():
    bowl = Bowl(present=-1.0, best=0.0, edge=-0.35)
    averaged = wise_ft(bowl.weights, at(1.0), bowl.score)
    # From -1 toward 0 the loss falls, and beyond -0.35 the accuracy falls too.
    assert bowl.present == pytest.approx(-0.4, abs=1e-6)
    assert averaged.after.accuracy == averaged.before.accuracy


def test_the_result_is_json():
    bowl = Bowl(present=7.0)
    described = wise_ft(bowl.weights, at(-3.0), bowl.score, alphas=(0.5, 0.3)).describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert [tried["name"] for tried in described["tried"]] == ["alpha 0.5", "alpha 0.3"]
    assert described["after"]["loss"] == pytest.approx(0.0, abs=1e-9)


# The first example also starts TensorFlow.
@settings(deadline=None)
@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5))
def test_validation_never_gets_worse(present, start, best):
    bowl = Bowl(present, best)
    before = bowl.score().loss
    soup = greedy_soup(bowl.weights, [("a", at(present)), ("b", at(start))], bowl.score)
    assert bowl.score().loss == soup.after.loss <= before
    wise = wise_ft(bowl.weights, at(start), bowl.score)
    assert bowl.score().loss == wise.after.loss <= soup.after.loss


def test_integers_are_not_averaged():
    one = {"w": np.array([1.0], np.float32), "count": np.array([3], np.int64)}
    other = {"w": np.array([2.0], np.float32), "count": np.array([8], np.int64)}
    mixed = mix(one, other, 0.5)
    assert mixed["w"] == 1.5
    assert mixed["count"] == 3
    assert mixed["count"].dtype == np.int64


# Scoring a model


@pytest.fixture
def batches() -> tf.data.Dataset:
    """Two batches of random pixels of three classes, the second one smaller."""
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (11, 32, 32, 3)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices(({"pixels": pixels}, np.arange(11) % 3)).batch(8)


def test_a_scorer_uses_the_current_weights_without_another_trace(tiny_assembled, batches):
    scorer = ValidationScorer(
        Forward(tiny_assembled.model, tiny_assembled.head.activate), tiny_assembled.head, batches
    )
    tiny_assembled.model.compile(
        loss=tiny_assembled.head.make_loss(), metrics=tiny_assembled.head.make_metrics()
    )
    seen = []
    for scale in (1.0, 3.0):
        for variable in tiny_assembled.blocks["head"].variables:
            variable.assign(variable.numpy() * scale)
        score = scorer()
        expected = tiny_assembled.model.evaluate(batches, verbose=0, return_dict=True)
        assert score.loss == pytest.approx(expected["loss"], rel=1e-4)
        assert score.accuracy == pytest.approx(expected["accuracy"])
        seen.append(score.loss)
    assert seen[0] != seen[1]
    outputs, targets = scorer.answer()
    assert outputs.shape == (11, 3)
    assert np.array_equal(targets, np.arange(11) % 3)


@pytest.mark.parametrize("kind, name", [("labels", "multilabel"), ("number", "regression")])
def test_labels_and_numbers_are_scored_too(kind, name):
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (5, 2)).astype(np.float32)
    head = make_head(HeadConfig(name=name), find_task(kind), ("a", "b"), targets)
    features = keras.Input((3,), name="x")
    model = keras.Model({"x": features}, head.build({"features": features}))
    inputs = {"x": rng.normal(size=(5, 3)).astype(np.float32)}
    batches = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(2)
    score = ValidationScorer(Forward(model, head.activate), head, batches)()
    expected = float(head.make_loss()(targets, model(inputs)))
    assert score.loss == pytest.approx(expected, rel=1e-4)
    assert (score.accuracy is None) == (kind == "number")


def test_averaging_a_whole_model_never_makes_validation_worse(tiny_assembled, batches):
    blocks = tiny_assembled.blocks
    weights = find_weights(blocks, blocks.names)
    start = weights.take()
    for variable in blocks["head"].variables:
        variable.assign(-variable.numpy())
    scorer = ValidationScorer(
        Forward(tiny_assembled.model, tiny_assembled.head.activate), tiny_assembled.head, batches
    )
    before = scorer()
    averaged = wise_ft(weights, start, scorer)
    assert averaged.before == before
    assert averaged.is_kept
    assert scorer() == averaged.after
    assert averaged.after.loss < before.loss
