"""Terms of a loss from settings and training targets, and refused settings."""

from __future__ import annotations

import numpy as np
import pytest

from kft.config import HeadConfig, TrainingConfig
from kft.errors import ConfigError
from kft.objectives import make_supervised
from kft.tasks import find_task, make_head
from kft.tasks.multilabel.weights import balanced_weights

NAMES = ("a", "b", "c")
TARGETS = np.array([0, 0, 0, 1, 1, 2])
LABELS = np.array([[1, 0, 1], [0, 0, 1], [0, 1, 0], [0, 1, 1]], np.float32)
NUMBERS = np.array([[1.0], [2.0], [4.0]], np.float32)


def terms(targets=TARGETS, **settings):
    kind = "class" if targets.ndim == 1 else "labels"
    head = make_head(HeadConfig(), find_task(kind), NAMES, targets)
    return make_supervised(head, TrainingConfig(**settings), targets).loss.terms


def test_the_defaults_add_no_terms():
    plain = terms()
    assert (plain.label_smoothing, plain.focal_gamma) == (0, 0)
    assert (plain.class_weights, plain.logit_offsets) == ((), ())


def test_label_smoothing_and_focal_gamma_reach_the_loss():
    given = terms(label_smoothing=0.1, focal_gamma=2.0)
    assert (given.label_smoothing, given.focal_gamma) == (0.1, 2.0)


def test_balanced_weights_give_classes_equal_weight_and_a_mean_of_one():
    weights = np.array(terms(class_weights="balanced").class_weights)
    assert weights == pytest.approx([6 / 9, 1.0, 2.0])
    counts = np.bincount(TARGETS)
    assert np.ptp(weights * counts) == pytest.approx(0)
    assert weights[TARGETS].mean() == pytest.approx(1)


def test_classes_without_a_named_weight_have_weight_one():
    assert terms(class_weights={"c": 5.0, "a": 0.0}).class_weights == (0.0, 1.0, 5.0)


def test_balanced_weights_of_labels_are_the_ratio_of_absent_to_present():
    assert terms(LABELS, class_weights="balanced").class_weights == pytest.approx((3, 1, 1 / 3))


def test_logit_offsets_are_the_temperature_times_the_log_priors():
    assert terms(logit_adjustment=1.0).logit_offsets == pytest.approx(np.log([1 / 2, 1 / 3, 1 / 6]))
    assert terms(logit_adjustment=2.0).logit_offsets == pytest.approx(
        2 * np.log([1 / 2, 1 / 3, 1 / 6])
    )


@pytest.mark.parametrize("setting", [{"class_weights": "balanced"}, {"logit_adjustment": 1.0}])
def test_a_class_without_training_examples_is_refused(setting):
    (name,) = setting
    with pytest.raises(ConfigError, match=rf"training\.{name}: .*no example of 'c'"):
        terms(np.array([0, 1, 1]), **setting)


@pytest.mark.parametrize(("column", "reason"), [(0, "no training"), (1, "every training")])
def test_a_label_that_all_or_no_examples_have_cannot_be_balanced(column, reason):
    labels = LABELS.copy()
    labels[:, column] = column
    with pytest.raises(ConfigError, match=rf"{reason} example has the label '{NAMES[column]}'"):
        balanced_weights(NAMES, labels)


def test_each_call_makes_a_new_loss_and_new_metrics():
    head = make_head(HeadConfig(), find_task("class"), NAMES, TARGETS)
    one, other = (make_supervised(head, TrainingConfig(), TARGETS) for _ in range(2))
    assert one.loss is not other.loss
    assert one.metrics[0] is not other.metrics[0]
