"""What every registered head promises."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from kft.config import HeadConfig
from kft.errors import ConfigError
from kft.heads import HEADS, make_head, restore_head
from kft.heads.base import FEATURE_VECTOR, Head, pool
from kft.heads.losses import LossTerms

NAMES = ("a", "b", "c")
# Targets of each kind for four examples, as `Examples.targets` holds them.
TARGETS = {
    "class": np.array([0, 2, 1, 2], np.int64),
    "labels": np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]], np.float32),
    "number": np.array([[10, 0.1, 5], [30, 0.2, 5], [20, 0.4, 5], [0, 0.3, 5]], np.float32),
}
LOGITS = np.random.default_rng(0).normal(0, 2, (4, 3)).astype(np.float32)

every_head = pytest.mark.parametrize("name", sorted(HEADS))


def make(name: str, **config) -> Head:
    kind = HEADS.load(name).target_kind
    return make_head(HeadConfig(name=name, **config), kind, NAMES, TARGETS[kind])


def build(head: Head, shape: tuple[int, ...] = (4, 4, 6)) -> keras.Model:
    features = keras.Input(shape)
    return keras.Model(features, head.build(features))


def test_there_are_heads_and_each_kind_of_target_has_exactly_one():
    kinds = [HEADS.load(name).target_kind for name in HEADS]
    assert len(kinds) == len(set(kinds)) >= 3
    assert set(kinds) == set(TARGETS)


@every_head
def test_a_head_is_called_as_it_is_registered(name):
    assert HEADS.load(name).name == name
    assert make(name).name == name


@every_head
def test_auto_chooses_the_head_of_the_targets(name):
    kind = HEADS.load(name).target_kind
    chosen = make_head(HeadConfig(), kind, NAMES, TARGETS[kind])
    assert type(chosen) is HEADS.load(name)
    assert chosen.class_names == NAMES


@every_head
def test_targets_of_another_kind_are_refused(name):
    for kind in set(TARGETS) - {HEADS.load(name).target_kind}:
        with pytest.raises(ConfigError, match=rf"head\.name: '{name}' answers .* holds '{kind}'"):
            make_head(HeadConfig(name=name), kind, NAMES, TARGETS[kind])


@every_head
@pytest.mark.parametrize("shape", [(4, 4, 6), (7, 5, 6), (6,)], ids=["square", "oblong", "vector"])
def test_logits_have_one_column_per_name_in_float32(name, shape):
    model = build(make(name), shape)
    assert model.output_shape == (None, 3)
    logits = model(np.ones((4, *shape), np.float32))
    assert logits.shape == (4, 3)
    assert logits.dtype == "float32"


@every_head
def test_logits_stay_in_float32_under_a_mixed_policy(name, restored_globals):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(make(name, hidden=(5,)))
    assert model.layers[-1].compute_dtype == "float32"
    assert model.get_layer("head_hidden1").compute_dtype == "bfloat16"
    assert model(np.ones((2, 4, 4, 6), np.float32)).dtype == "float32"


@every_head
def test_the_first_answer_is_the_same_for_every_picture(name):
    features = np.random.default_rng(0).normal(size=(4, 4, 4, 6)).astype(np.float32)
    assert not np.any(build(make(name))(features))


@every_head
def test_loss_and_metrics_are_finite_and_fall_as_answers_get_better(name):
    head = make(name)
    targets = TARGETS[head.target_kind]
    perfect = perfect_logits(head, targets)
    loss = head.make_loss()
    targets = head.standardise(targets)
    bad, good = float(loss(targets, LOGITS)), float(loss(targets, perfect))
    assert np.isfinite([bad, good]).all()
    assert good < 1e-3 < bad
    metrics = head.make_metrics()
    assert metrics
    for metric in metrics:
        metric.update_state(targets, LOGITS)
        assert np.isfinite(float(metric.result()))
        metric.reset_state()
        metric.update_state(targets, perfect)
        assert float(metric.result()) == pytest.approx(
            0.0 if "error" in metric.name else 1.0, abs=1e-6
        )


def perfect_logits(head: Head, targets: np.ndarray) -> np.ndarray:
    if head.target_kind == "class":
        return 20 * np.eye(3, dtype=np.float32)[targets]
    if head.target_kind == "labels":
        return 20 * (2 * targets - 1)
    return (targets - np.array(head.means)) / np.array(head.deviations)


@every_head
def test_loss_and_metrics_are_made_anew_each_time(name):
    head = make(name)
    assert head.make_loss() is not head.make_loss()
    assert head.make_metrics()[0] is not head.make_metrics()[0]


@every_head
def test_activate_answers_in_the_range_of_the_targets(name):
    head = make(name)
    answers = np.asarray(head.restore_units(np.asarray(head.activate(LOGITS))))
    assert answers.shape == (4, 3)
    if head.target_kind == "number":
        expected = LOGITS * np.array(head.deviations) + np.array(head.means)
        assert np.allclose(answers, expected, rtol=1e-6)
        return
    assert (answers > 0).all()
    assert (answers < 1).all()
    assert np.array_equal(answers.argmax(axis=1), LOGITS.argmax(axis=1))
    if head.target_kind == "class":
        assert np.allclose(answers.sum(axis=1), 1.0, atol=1e-6)
        shifted = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
        assert np.allclose(answers, shifted / shifted.sum(axis=1, keepdims=True), atol=1e-6)
    else:
        assert np.allclose(answers, 1 / (1 + np.exp(-LOGITS)), atol=1e-6)


@every_head
def test_a_described_head_is_restored_to_an_equal_one(name):
    head = make(name, hidden=(5, 4), dropout=0.25, pooling="max")
    described = json.loads(json.dumps(head.describe()))
    again = restore_head(described)
    assert again == head
    assert type(again) is type(head)
    assert np.array_equal(np.asarray(again.activate(LOGITS)), np.asarray(head.activate(LOGITS)))


@every_head
def test_hidden_layers_and_dropout_are_where_the_config_says(name):
    model = build(make(name, hidden=(5, 4), dropout=0.5))
    own = [layer.name for layer in model.layers[1:]]
    assert own == [
        FEATURE_VECTOR,
        "head_dropout1",
        "head_hidden1",
        "head_dropout2",
        "head_hidden2",
        "head_dropout",
        "logits",
    ]
    assert [model.get_layer(f"head_hidden{depth}").units for depth in (1, 2)] == [5, 4]
    assert model.get_layer("head_dropout").rate == 0.5
    plain = build(make(name))
    assert [layer.name for layer in plain.layers[1:]] == [FEATURE_VECTOR, "logits"]


@every_head
def test_dropout_acts_in_training_alone(name):
    keras.utils.set_random_seed(0)
    model = build(make(name, hidden=(64,), dropout=0.5))
    model.get_layer("logits").kernel.assign(np.ones((64, 3), np.float32))
    features = np.abs(np.random.default_rng(0).normal(size=(2, 4, 4, 6))).astype(np.float32)
    resting = [np.asarray(model(features, training=False)) for _ in range(2)]
    assert np.array_equal(*resting)
    assert not np.array_equal(np.asarray(model(features, training=True)), resting[0])


@pytest.mark.parametrize("pooling", ["avg", "max", "avg_max"])
def test_pooling_gives_the_vector_of_a_map(pooling):
    inputs = keras.Input((3, 2, 4))
    model = keras.Model(inputs, pool(inputs, pooling))
    features = np.random.default_rng(0).normal(size=(2, 3, 2, 4)).astype(np.float32)
    average, maximum = features.mean(axis=(1, 2)), features.max(axis=(1, 2))
    expected = {
        "avg": average,
        "max": maximum,
        "avg_max": np.concatenate([average, maximum], axis=1),
    }[pooling]
    assert np.allclose(np.asarray(model(features)), expected, atol=1e-6)
    assert model.get_layer(FEATURE_VECTOR).output is model.output


def test_smoothed_crossentropy_spreads_its_share_over_all_classes():
    loss = make("classification").make_loss(LossTerms(label_smoothing=0.3))
    targets = TARGETS["class"]
    spread = 0.7 * np.eye(3)[targets] + 0.1
    log_probabilities = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    expected = -(spread * log_probabilities).sum(axis=1).mean()
    assert float(loss(targets, LOGITS)) == pytest.approx(expected, rel=1e-5)
    # Keras adds an axis to targets of rank 1 in fit.
    assert float(loss(targets[:, None], LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_smoothed_labels_are_drawn_toward_a_half():
    targets = TARGETS["labels"]
    smoothed = targets * 0.8 + 0.1
    probabilities = 1 / (1 + np.exp(-LOGITS))
    each = smoothed * np.log(probabilities) + (1 - smoothed) * np.log(1 - probabilities)
    loss = make("multilabel").make_loss(LossTerms(label_smoothing=0.2))
    assert float(loss(targets, LOGITS)) == pytest.approx(-each.mean(), rel=1e-5)


def test_the_units_of_a_regression_are_those_of_its_training_targets():
    head = make("regression")
    targets = TARGETS["number"]
    assert head.means == pytest.approx(targets.mean(axis=0))
    # A constant target has no deviation to divide by.
    assert head.deviations == pytest.approx([*targets.std(axis=0)[:2], 1.0])
    standardised = head.standardise(targets)
    assert standardised == pytest.approx((targets - head.means) / head.deviations, abs=1e-6)
    expected = ((standardised - LOGITS) ** 2).mean()
    assert float(head.make_loss()(standardised, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_the_error_of_a_regression_has_no_unit_so_that_several_numbers_share_one():
    head = make("regression")
    (metric,) = head.make_metrics()
    standardised = head.standardise(TARGETS["number"])
    metric.update_state(standardised, np.zeros((4, 3), np.float32))
    assert float(metric.result()) == pytest.approx(np.abs(standardised).mean())


@pytest.mark.parametrize(
    ("offset", "spread"), [(1.7e9, 300.0), (48.0, 1e-3), (0.0, 1e-9), (4e6, 2)]
)
def test_numbers_come_back_from_standardised_ones_to_a_millionth_of_their_spread(offset, spread):
    targets = offset + spread * np.random.default_rng(0).normal(size=(50, 1))
    head = make_head(HeadConfig(), "number", ("x",), targets)
    again = head.restore_units(head.standardise(targets))
    assert again.dtype == np.float64
    assert np.abs(again - targets).max() < 1e-6 * spread
    in_graph = np.asarray(
        head.restore_units(keras.ops.convert_to_tensor(head.standardise(targets)))
    )
    assert np.array_equal(in_graph, again)


def test_a_constant_whose_mean_is_rounded_has_no_deviation_to_divide_by():
    head = make_head(HeadConfig(), "number", ("x",), np.full((10, 1), 0.1))
    assert (head.means, head.deviations) == ((0.1,), (1.0,))
