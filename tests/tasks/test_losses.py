"""Losses against NumPy in float64, and against Keras's losses if they exist."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.tasks.classification.loss import ClassAccuracy, ClassCrossentropy
from kft.tasks.loss_terms import LossTerms
from kft.tasks.multilabel.loss import LabelCrossentropy

CLASSES = 4
EXAMPLES = 6
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 2, (EXAMPLES, CLASSES)).astype(np.float32)
INDICES = np.array([0, 3, 1, 1, 2, 3])
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[INDICES]
LABELS = (RANDOM.random((EXAMPLES, CLASSES)) < 0.5).astype(np.float32)
# Targets as made by mixup.
DENSE = (0.7 * ONE_HOT + 0.3 * ONE_HOT[::-1]).astype(np.float32)

terms_of_classes = st.builds(
    LossTerms,
    label_smoothing=st.floats(0, 0.5),
    focal_gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]),
    class_weights=st.one_of(st.just(()), st.tuples(*[st.floats(0, 10)] * CLASSES)),
    logit_offsets=st.one_of(st.just(()), st.tuples(*[st.floats(-5, 0)] * CLASSES)),
)


def by_hand(logits: np.ndarray, targets: np.ndarray, terms: LossTerms) -> float:
    """Compute the formula of the docstring, class by class."""
    z = logits.astype(np.float64) + np.array(terms.logit_offsets or [0.0] * CLASSES)
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    weights = terms.class_weights or (1.0,) * CLASSES
    s, total = terms.label_smoothing, 0.0
    for row in range(len(logits)):
        for c in range(CLASSES):
            focus = (1 - np.exp(log_p[row, c])) ** terms.focal_gamma
            cost = (1 - s) * -log_p[row, c] + s * -log_p[row].mean()
            total += targets[row, c] * weights[c] * focus * cost
    return total / len(logits)


@given(terms_of_classes)
@settings(deadline=None, max_examples=60)
def test_every_combination_of_terms_matches_the_formula(terms):
    loss = ClassCrossentropy(CLASSES, terms)
    assert float(loss(INDICES, LOGITS)) == pytest.approx(by_hand(LOGITS, ONE_HOT, terms), rel=1e-4)
    assert float(loss(DENSE, LOGITS)) == pytest.approx(by_hand(LOGITS, DENSE, terms), rel=1e-4)


@given(terms_of_classes, st.floats(0, 1))
@settings(deadline=None, max_examples=30)
def test_the_loss_is_linear_in_dense_targets(terms, share):
    loss = ClassCrossentropy(CLASSES, terms)
    blended = share * ONE_HOT + (1 - share) * ONE_HOT[::-1]
    one, other = float(loss(ONE_HOT, LOGITS)), float(loss(ONE_HOT[::-1], LOGITS))
    assert float(loss(blended, LOGITS)) == pytest.approx(
        share * one + (1 - share) * other, rel=1e-4
    )


def test_indices_may_have_an_extra_axis():
    loss = ClassCrossentropy(CLASSES, LossTerms(label_smoothing=0.1))
    assert float(loss(INDICES[:, None], LOGITS)) == float(loss(INDICES, LOGITS))


@pytest.mark.parametrize("targets", [ONE_HOT, DENSE], ids=["one class", "dense"])
def test_without_the_focal_factor_the_loss_is_keras_categorical_crossentropy(targets):
    for smoothing in (0.0, 0.3):
        own = ClassCrossentropy(CLASSES, LossTerms(label_smoothing=smoothing))
        theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
        assert float(own(targets, LOGITS)) == pytest.approx(
            float(theirs(targets, LOGITS)), rel=1e-5
        )


def test_with_indices_the_plain_loss_is_keras_sparse_crossentropy():
    own = ClassCrossentropy(CLASSES, LossTerms())
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(own(INDICES, LOGITS)) == pytest.approx(float(theirs(INDICES, LOGITS)), rel=1e-6)


def test_with_the_focal_factor_the_loss_is_keras_focal_crossentropy():
    own = ClassCrossentropy(CLASSES, LossTerms(focal_gamma=2.0))
    theirs = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True)
    assert float(own(INDICES, LOGITS)) == pytest.approx(float(theirs(ONE_HOT, LOGITS)), rel=1e-4)


def test_class_weights_equal_keras_sample_weights():
    weights = (0.5, 2.0, 0.0, 3.0)
    own = ClassCrossentropy(CLASSES, LossTerms(class_weights=weights))
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    each = np.array(weights)[INDICES]
    assert float(own(INDICES, LOGITS)) == pytest.approx(
        float(theirs(INDICES, LOGITS, sample_weight=each)), rel=1e-6
    )


def test_offsets_equal_shifted_logits():
    offsets = tuple(np.log([0.7, 0.1, 0.1, 0.1]))
    own = ClassCrossentropy(CLASSES, LossTerms(logit_offsets=offsets))
    plain = ClassCrossentropy(CLASSES, LossTerms())
    shifted = LOGITS + np.array(offsets, np.float32)
    assert float(own(INDICES, LOGITS)) == pytest.approx(float(plain(INDICES, shifted)), rel=1e-6)


FAR = np.array([[80.0, -80, 0, 0], [-300, 300, 0, 0], [1e4, -1e4, 0, 0]], np.float32)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_losses_and_gradients_stay_finite_far_from_zero(gamma):
    for loss, targets in (
        (ClassCrossentropy(CLASSES, LossTerms(0.1, gamma)), np.array([0, 0, 1])),
        (LabelCrossentropy(LossTerms(0.1, gamma)), np.eye(3, CLASSES, dtype=np.float32)),
    ):
        logits = tf.Variable(FAR)
        with tf.GradientTape() as tape:
            value = loss(targets, logits)
        gradient = tape.gradient(value, logits).numpy()
        assert np.isfinite(float(value))
        assert np.isfinite(gradient).all()
        # The wrong predictions in the last two rows still have gradients.
        assert np.abs(gradient[1:]).max() > 0.01


@given(
    st.builds(
        LossTerms,
        label_smoothing=st.floats(0, 0.5),
        focal_gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]),
        class_weights=st.one_of(st.just(()), st.tuples(*[st.floats(0, 10)] * CLASSES)),
    )
)
@settings(deadline=None, max_examples=60)
def test_the_loss_of_labels_matches_the_formula(terms):
    p = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    half, gamma = terms.label_smoothing / 2, terms.focal_gamma
    weights = np.array(terms.class_weights or [1.0] * CLASSES)
    present = (1 - half) * -np.log(p) + half * -np.log(1 - p)
    absent = (1 - half) * -np.log(1 - p) + half * -np.log(p)
    expected = LABELS * weights * (1 - p) ** gamma * present + (1 - LABELS) * p**gamma * absent
    loss = LabelCrossentropy(terms)
    assert float(loss(LABELS, LOGITS)) == pytest.approx(expected.mean(), rel=1e-4, abs=1e-7)


def test_without_weights_the_loss_of_labels_is_keras_binary_crossentropy():
    smoothed = LabelCrossentropy(LossTerms(label_smoothing=0.2))
    theirs = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)
    assert float(smoothed(LABELS, LOGITS)) == pytest.approx(float(theirs(LABELS, LOGITS)), rel=1e-5)
    focal = LabelCrossentropy(LossTerms(focal_gamma=2.0))
    theirs = keras.losses.BinaryFocalCrossentropy(gamma=2.0, from_logits=True)
    assert float(focal(LABELS, LOGITS)) == pytest.approx(float(theirs(LABELS, LOGITS)), rel=1e-4)


@pytest.mark.parametrize("targets", [INDICES, INDICES[:, None], ONE_HOT, DENSE])
def test_accuracy_counts_the_largest_target(targets):
    metric = ClassAccuracy(CLASSES)
    metric.update_state(targets, LOGITS)
    assert float(metric.result()) == pytest.approx((LOGITS.argmax(axis=1) == INDICES).mean())


# Example weights, which mark padding of replicas


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (ClassCrossentropy(3, LossTerms()), np.array([0, 2, 1])),
        (LabelCrossentropy(LossTerms(label_smoothing=0.1)), np.eye(3, dtype=np.float32)),
        (keras.losses.MeanSquaredError(), np.eye(3, dtype=np.float32)),
    ],
    ids=["classes", "labels", "numbers"],
)
def test_example_weights_apply_to_examples_even_with_as_many_labels(loss, targets):
    logits = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    weights = np.array([1.5, 1.5, 0.0], np.float32)
    weighted = loss(targets, logits, sample_weight=weights)
    assert float(weighted) == pytest.approx(float(loss(targets[:2], logits[:2])), rel=1e-5)
