"""Figures against independent calculations and scikit-learn."""

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from kft.statistics import wilson_interval
from kft.tasks import find_task, headline

NAMES = ("cat", "dog", "owl")
# Predictions: cat, dog, dog, cat, cat. The first, second and last are right.
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.9, 0.05, 0.05]],
    np.float32,
)
CLASSES = np.array([0, 1, 2, 1, 0])


def compute(kind, targets, outputs, train_targets, names=NAMES):
    figures = find_task(kind).figures.compute(targets, outputs, names, train_targets)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    return figures


def test_the_figures_of_classes_match_their_formulas():
    figures = compute("class", CLASSES, PROBABILITIES, np.array([1, 1, 0]))
    assert figures["examples"] == 5
    assert figures["accuracy"] == 0.6
    assert figures["majority_class_accuracy"] == 0.4
    assert figures["classes"]["cat"] == {
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": pytest.approx(0.8),
        "roc_auc": 1.0,
        "average_precision": 1.0,
        "examples": 2,
    }
    assert figures["classes"]["dog"]["f1"] == 0.5
    owl = figures["classes"]["owl"]
    assert (owl["precision"], owl["recall"], owl["f1"], owl["examples"]) == (0, 0, 0, 1)
    assert figures["macro_f1"] == pytest.approx((0.8 + 0.5 + 0) / 3)
    assert figures["log_loss"] == pytest.approx(-np.log([0.7, 0.8, 0.3, 0.3, 0.9]).mean(), rel=1e-6)
    assert figures["balanced_accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert figures["most_answered"] == {"class": "cat", "examples": 3}
    assert figures["accuracy_95_percent_interval"] == pytest.approx(wilson_interval(3, 5))


def test_the_figures_of_classes_match_scikit_learn():
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 200)
    outputs = random.dirichlet([1, 1, 1], 200).astype(np.float32)
    figures = compute("class", targets, outputs, targets)
    predicted = outputs.argmax(axis=1)
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(targets, predicted))
    assert figures["macro_f1"] == pytest.approx(
        reference.f1_score(targets, predicted, average="macro")
    )
    normal = outputs.astype(float) / outputs.astype(float).sum(axis=1, keepdims=True)
    assert figures["log_loss"] == pytest.approx(reference.log_loss(targets, normal), rel=1e-5)


def test_a_class_without_examples_is_listed():
    figures = compute("class", np.array([0, 0]), PROBABILITIES[:2], np.array([0]))
    assert set(figures["classes"]) == set(NAMES)
    assert figures["classes"]["owl"]["examples"] == 0
    # It does not count in the mean over classes.
    assert figures["balanced_accuracy"] == 0.5


def test_a_class_without_examples_has_no_figures_and_lowers_none():
    outputs = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    figures = compute("class", np.array([0, 0, 1, 1]), outputs, np.array([0, 1, 2]))
    assert figures["not_judged"] == ["owl"]
    assert set(figures["classes"]["owl"].values()) == {None, 0}
    assert figures["macro_f1"] == pytest.approx((1.0 + 2 / 3) / 2)
    assert figures["accuracy"] == 3 / 4
    assert headline(figures).endswith(", 4 examples; not judged: owl")
    assert "not_judged" not in compute("class", CLASSES, PROBABILITIES, CLASSES)


def test_a_probability_of_zero_gives_a_large_finite_loss():
    outputs = np.array([[0.0, 1.0, 0.0]], np.float32)
    figures = compute("class", np.array([0]), outputs, np.array([0]))
    assert figures["log_loss"] == pytest.approx(-np.log(1e-38))


def test_the_figures_of_labels_match_their_formulas():
    targets = np.array([[1, 0], [1, 1], [0, 0], [0, 0]], np.float32)
    outputs = np.array([[0.9, 0.1], [0.5, 0.2], [0.6, 0.4], [0.1, 0.3]], np.float32)
    # In training, the first label is mostly present and the second mostly absent.
    figures = compute("labels", targets, outputs, np.array([[1, 0], [1, 0], [0, 1]]), ("a", "b"))
    assert figures["accuracy"] == 6 / 8
    assert figures["exact_match"] == 2 / 4
    assert figures["exact_match_95_percent_interval"] == pytest.approx(wilson_interval(2, 4))
    assert figures["majority_label_accuracy"] == 5 / 8
    assert figures["labels"]["a"]["precision"] == pytest.approx(2 / 3)
    assert figures["labels"]["a"]["recall"] == 1.0
    assert figures["labels"]["b"]["f1"] == 0.0
    assert figures["macro_f1"] == pytest.approx(0.8 / 2)
    for index, name in enumerate("ab"):
        assert figures["labels"][name]["average_precision"] == pytest.approx(
            reference.average_precision_score(targets[:, index], outputs[:, index])
        )


def test_a_label_that_never_occurs_has_no_average_precision():
    targets = np.array([[0, 1], [0, 0]])
    figures = compute("labels", targets, np.full((2, 2), 0.2), targets, ("a", "b"))
    assert figures["labels"]["a"]["average_precision"] is None
    assert figures["labels"]["a"]["examples"] == 0
    assert figures["labels"]["b"]["average_precision"] == 0.5
    assert figures["labels"]["a"]["f1"] is None
    assert figures["not_judged"] == ["a"]
    assert figures["macro_f1"] == figures["labels"]["b"]["f1"]
    nothing = compute("labels", np.zeros((2, 2)), np.full((2, 2), 0.2), targets, ("a", "b"))
    assert (nothing["macro_f1"], nothing["not_judged"]) == (None, ["a", "b"])


def test_the_figures_of_a_single_label_are_of_its_presence():
    targets = np.array([[1], [0], [0], [0]])
    outputs = np.array([[0.9], [0.8], [0.1], [0.1]])
    label = compute("labels", targets, outputs, targets, ("a",))["labels"]["a"]
    assert (label["precision"], label["recall"], label["examples"]) == (0.5, 1.0, 1)


def test_the_figures_of_numbers_match_their_formulas():
    targets = np.array([[0.0, 5], [2, 5], [4, 5]], np.float32)
    outputs = np.array([[1.0, 5], [2, 6], [4, 3]], np.float32)
    train = np.array([[0.0, 5], [4, 7]], np.float32)
    figures = compute("number", targets, outputs, train, ("x", "y"))
    # The training means are 2 and 6, and the deviations are 2 and 1.
    assert figures["standardised_absolute_error"] == pytest.approx((1 / 2 + 1 + 2) / 6)
    baseline = figures["baseline_standardised_absolute_error"]
    assert baseline == pytest.approx((2 / 2 + 0 + 2 / 2 + 3) / 6)
    x, y = figures["numbers"]["x"], figures["numbers"]["y"]
    assert (x["baseline_mean_absolute_error"], y["baseline_mean_absolute_error"]) == (4 / 3, 1.0)
    assert x["root_mean_squared_error"] == pytest.approx(np.sqrt(1 / 3))
    assert x["r_squared"] == pytest.approx(reference.r2_score(targets[:, 0], outputs[:, 0]))
    assert x["r_squared"] == pytest.approx(1 - 1 / 8)
    assert y["mean_absolute_error"] == 1.0
    assert y["r_squared"] is None


def test_the_headline_of_each_kind_names_its_baseline():
    classes = compute("class", CLASSES, PROBABILITIES, np.array([1, 1, 0]))
    assert headline(classes) == (
        "accuracy 0.600 (95 % interval 0.231 to 0.882; answering the majority class: 0.400), "
        "5 examples"
    )
    labels = compute("labels", np.eye(2), np.eye(2), np.zeros((2, 2)), ("a", "b"))
    assert headline(labels) == (
        "label accuracy 1.000 (answering each label's majority: 0.500), exact match 1.000, "
        "2 examples"
    )
    numbers = compute("number", np.ones((2, 1)), np.zeros((2, 1)), np.full((1, 1), 4.0), ("x",))
    assert headline(numbers) == (
        "mean absolute error 1.000 (answering the training mean: 3.000), 2 examples"
    )


def test_an_interval_ends_at_0_and_1():
    targets = np.zeros(20, np.int64)
    outputs = np.tile([1.0, 0.0], (20, 1))
    figures = find_task("class").figures.compute(targets, outputs, ("a", "b"), targets)
    assert figures["accuracy_95_percent_interval"][1] == 1.0


def test_the_headline_of_several_numbers_does_not_depend_on_units():
    rng = np.random.default_rng(0)
    targets = 48 + rng.normal(size=(30, 2))
    outputs, train = targets + 0.1, targets.copy()
    scale = np.array([1e9, 1e-6])
    plain = compute("number", targets, outputs, train, ("x", "y"))
    scaled = compute("number", targets * scale, outputs * scale, train * scale, ("x", "y"))
    assert headline(scaled) == headline(plain)
    assert "deviations" in headline(plain)
    assert "2 numbers, 30 examples" in headline(plain)


def test_errors_of_numbers_whose_squares_underflow_are_correct():
    targets = np.array([[1.0], [2.0], [4.0]]) * 1e-200
    x = compute("number", targets, targets * 1.5, targets, ("x",))["numbers"]["x"]
    reference_targets = np.array([1.0, 2.0, 4.0])
    expected = reference.r2_score(reference_targets, reference_targets * 1.5)
    assert x["r_squared"] == pytest.approx(expected)


def test_the_headline_warns_of_a_model_that_answers_a_single_class():
    targets = np.array([0] * 60 + [1] * 6)
    flat = np.tile([0.9, 0.1], (66, 1))
    line = headline(compute("class", targets, flat, targets, ("a", "b")))
    assert "The model answers 'a' for all of them: no better than the majority class" in line
    assert "Balanced accuracy 0.500" in line
    nearly = flat.copy()
    nearly[0] = [0.1, 0.9]
    assert "answers 'a' for 65 of them" in headline(
        compute("class", targets, nearly, targets, ("a", "b"))
    )


def test_the_headline_has_no_warning_if_the_rare_class_is_found():
    targets = np.array([0] * 98 + [1] * 2)
    right = np.eye(2)[targets]
    assert headline(compute("class", targets, right, targets, ("a", "b"))).endswith("100 examples")
    alone = np.zeros(5, np.int64)
    line = headline(compute("class", alone, np.eye(2)[alone], targets, ("a", "b")))
    assert line.endswith("5 examples; not judged: b")


def test_the_headline_warns_of_labels_and_numbers_no_better_than_their_baseline():
    targets = np.array([[0, 1], [0, 0], [0, 0]])
    line = headline(compute("labels", targets, np.full((3, 2), 0.2), targets, ("a", "b")))
    assert "the same labels for all of them" in line
    numbers = np.array([[1.0], [2.0]])
    line = headline(compute("number", numbers, np.full((2, 1), 1.5), numbers, ("x",)))
    assert line.endswith("No better than the training mean")


def test_many_classes_keep_the_figures_small():
    targets = np.arange(1500)
    outputs = np.random.default_rng(0).random((1500, 1500)).astype(np.float32)
    names = [f"sku_{index:05d}" for index in range(1500)]
    assert len(json.dumps(compute("class", targets, outputs, targets, names), indent=2)) < 900_000


def test_figures_of_older_runs_have_a_headline():
    targets = np.array([0, 0, 1])
    classes = compute("class", targets, np.eye(2)[[0, 0, 0]], targets, ("a", "b"))
    del classes["most_answered"], classes["balanced_accuracy"]
    assert headline(classes).startswith("accuracy 0.667")
    numbers = {
        "examples": 2,
        "mean_absolute_error": 6.4,
        "mean_target_absolute_error": 390.4,
        "numbers": {"x": {"mean_absolute_error": 6.4}},
    }
    assert headline(numbers) == (
        "mean absolute error 6.400 (answering the training mean: 390.4), 2 examples"
    )
