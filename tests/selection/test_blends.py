"""Blends of start and trained weights, and the one with the lowest loss."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.config import HeadConfig
from kft.errors import TrainingError
from kft.features import Forward
from kft.selection.averaging import ValidationScore, ValidationScorer
from kft.selection.blends import SHARES, Blend, find_blend, put_blend
from kft.selection.comparison import Comparison
from kft.selection.snapshots import Weights
from kft.statistics import Difference
from kft.tasks import find_task, make_head

# A head that returns its bias: with targets of -1 and 1, its loss is lowest at a bias of 0.
TARGETS = np.array([[-1.0], [1.0]] * 4, np.float32)
HEAD = make_head(HeadConfig(), find_task("number"), ("height",), TARGETS)


@pytest.fixture(scope="module")
def forward() -> Forward:
    features = keras.Input((1,), name="x")
    model = keras.Model({"x": features}, HEAD.build({"features": features}))
    return Forward(model, HEAD.activate)


@pytest.fixture(scope="module")
def scorer(forward) -> ValidationScorer:
    batches = tf.data.Dataset.from_tensor_slices(({"x": 0 * TARGETS}, TARGETS)).batch(8)
    return ValidationScorer(forward, HEAD, batches)


@pytest.fixture(scope="module")
def weights(forward) -> Weights:
    return Weights({"bias": forward.model.get_layer("logits").bias})


def at(value: float) -> dict[str, np.ndarray]:
    return {"bias": np.array([value], np.float32)}


def blend_of(weights: Weights, scorer: ValidationScorer, start: float, trained: float) -> Blend:
    weights.put(at(trained))
    return find_blend(weights, at(start), scorer, HEAD.task)


@pytest.mark.parametrize(
    ("start", "trained", "share"),
    [(0.0, 1.0, 0.0), (-1.0, 3.0, 0.25), (-1.0, 1.0, 0.5), (-3.0, 1.0, 0.75), (1.0, 0.0, 1.0)],
)
def test_the_share_with_the_lowest_loss_is_found_and_the_weights_stay(
    weights, scorer, start, trained, share
):
    blend = blend_of(weights, scorer, start, trained)
    assert blend.share == share
    assert tuple(blend.scores) == SHARES
    assert blend.score.loss == min(score.loss for score in blend.scores.values())
    assert weights.take() == at(trained)


def test_of_equal_blends_the_smallest_share_is_chosen(weights, scorer):
    blend = blend_of(weights, scorer, 0.3, 0.3)
    assert blend.share == 0
    assert str(blend).startswith("no blend improves the loss on unseen data (")


def test_a_blend_is_compared_with_the_start(weights, scorer):
    blend = blend_of(weights, scorer, -2.0, 2.0)
    gain = blend.scores[0.0].loss - blend.score.loss
    assert blend.comparison.num_examples == len(TARGETS)
    assert blend.comparison.loss.gain == pytest.approx(gain, rel=1e-5)


def test_a_share_of_0_is_the_start_and_of_1_the_trained_weights_bit_for_bit():
    # Neither is exact in float32 if it is computed from a difference.
    start, trained = at(np.float32(0.1)), at(np.float32(1e9))
    weights = Weights({"bias": keras.Variable(trained["bias"])})
    put_blend(weights, start, 1.0)
    assert weights.take() == trained
    put_blend(weights, start, 0.0)
    assert weights.take() == start


@pytest.mark.parametrize("trained", [np.inf, np.nan])
def test_weights_that_are_not_finite_are_not_blended(weights, scorer, trained):
    with pytest.raises(TrainingError, match=r"the outputs are not finite after training"):
        blend_of(weights, scorer, 0.0, trained)


def test_the_blend_is_json_and_says_what_is_expected(weights, scorer):
    blend = blend_of(weights, scorer, -1.0, 3.0)
    described = blend.describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert [tried["share"] for tried in described["tried"]] == list(SHARES)
    assert described["share"] == 0.25
    assert str(blend).startswith("a share of 0.25 is expected best (loss on unseen data ")
    assert str(blend).endswith(" blended)")
    assert " blended" not in str(blend_of(weights, scorer, 1.0, 0.0))


@pytest.mark.parametrize(
    ("trained", "slack", "promises"),
    [(0.9, 0.0, True), (1.0, 0.0, False), (1.04, 0.0, False), (1.04, 0.05, True)],
)
def test_a_blend_promises_a_gain_if_its_loss_is_below_that_of_the_start(trained, slack, promises):
    scores = {share: ValidationScore(max(trained, 1), None) for share in SHARES}
    scores |= {0.0: ValidationScore(1.0, None), 0.25: ValidationScore(trained, None)}
    unchanged = Difference(gain=0.0, low=0.0, high=0.0)
    blend = Blend(0.25, scores, Comparison(None, unchanged, 20, is_better=False))
    assert blend.promises_gain(slack) == promises
