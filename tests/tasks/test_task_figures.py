"""Figures against a hand's and scikit-learn's."""

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from kft.statistics import wilson_interval
from kft.tasks import find_task, headline

NAMES = ("cat", "dog", "owl")
# Predicted: cat, dog, dog, cat, cat; right: the first, second and last.
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.9, 0.05, 0.05]],
    np.float32,
)
CLASSES = np.array([0, 1, 2, 1, 0])


def judge(kind, targets, outputs, train_targets, names=NAMES):
    figures = find_task(kind).figures.compute(targets, outputs, names, train_targets)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    return figures


def test_the_figures_of_classes_are_those_of_a_hand():
    figures = judge("class", CLASSES, PROBABILITIES, np.array([1, 1, 0]))
    assert figures["examples"] == 5
    assert figures["accuracy"] == 0.6
    assert figures["majority_class_accuracy"] == 0.4
    assert figures["classes"]["cat"] == {
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": pytest.approx(0.8),
        "examples": 2,
    }
    assert figures["classes"]["dog"]["f1"] == 0.5
    assert figures["classes"]["owl"] == {"precision": 0, "recall": 0, "f1": 0, "examples": 1}
    assert figures["macro_f1"] == pytest.approx((0.8 + 0.5 + 0) / 3)
    assert figures["log_loss"] == pytest.approx(-np.log([0.7, 0.8, 0.3, 0.3, 0.9]).mean(), rel=1e-6)
    assert figures["balanced_accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert figures["most_answered"] == {"class": "cat", "examples": 3}
    assert figures["accuracy_95_percent_interval"] == pytest.approx(wilson_interval(3, 5))


def test_the_figures_of_classes_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 200)
    outputs = random.dirichlet([1, 1, 1], 200).astype(np.float32)
    figures = judge("class", targets, outputs, targets)
    predicted = outputs.argmax(axis=1)
    assert figures["accuracy"] == pytest.approx(reference.accuracy_score(targets, predicted))
    assert figures["macro_f1"] == pytest.approx(
        reference.f1_score(targets, predicted, average="macro")
    )
    normal = outputs.astype(float) / outputs.astype(float).sum(axis=1, keepdims=True)
    assert figures["log_loss"] == pytest.approx(reference.log_loss(targets, normal), rel=1e-5)


def test_a_class_without_examples_keeps_its_row():
    figures = judge("class", np.array([0, 0]), PROBABILITIES[:2], np.array([0]))
    assert set(figures["classes"]) == set(NAMES)
    assert figures["classes"]["owl"]["examples"] == 0
    # Nothing is known of it: it does not lower what the others share.
    assert figures["balanced_accuracy"] == 0.5


def test_a_class_without_examples_is_not_judged_and_lowers_no_figure():
    outputs = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    figures = judge("class", np.array([0, 0, 1, 1]), outputs, np.array([0, 1, 2]))
    assert figures["not_judged"] == ["owl"]
    assert figures["classes"]["owl"] == {
        "precision": None,
        "recall": None,
        "f1": None,
        "examples": 0,
    }
    assert figures["macro_f1"] == pytest.approx((1.0 + 2 / 3) / 2)
    assert figures["accuracy"] == 3 / 4
    assert headline(figures).endswith(", 4 examples; not judged: owl")
    assert "not_judged" not in judge("class", CLASSES, PROBABILITIES, CLASSES)


def test_a_probability_of_zero_gives_a_large_loss_and_no_infinity():
    outputs = np.array([[0.0, 1.0, 0.0]], np.float32)
    figures = judge("class", np.array([0]), outputs, np.array([0]))
    assert figures["log_loss"] == pytest.approx(-np.log(1e-38))


def test_the_figures_of_labels_are_those_of_a_hand():
    targets = np.array([[1, 0], [1, 1], [0, 0], [0, 0]], np.float32)
    outputs = np.array([[0.9, 0.1], [0.5, 0.2], [0.6, 0.4], [0.1, 0.3]], np.float32)
    # In training the first label is mostly on, the second off.
    figures = judge("labels", targets, outputs, np.array([[1, 0], [1, 0], [0, 1]]), ("a", "b"))
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
    figures = judge("labels", targets, np.full((2, 2), 0.2), targets, ("a", "b"))
    assert figures["labels"]["a"]["average_precision"] is None
    assert figures["labels"]["a"]["examples"] == 0
    assert figures["labels"]["b"]["average_precision"] == 0.5
    assert figures["labels"]["a"]["f1"] is None
    assert figures["not_judged"] == ["a"]
    assert figures["macro_f1"] == figures["labels"]["b"]["f1"]
    nothing = judge("labels", np.zeros((2, 2)), np.full((2, 2), 0.2), targets, ("a", "b"))
    assert (nothing["macro_f1"], nothing["not_judged"]) == (None, ["a", "b"])


def test_a_single_label_is_judged_where_it_is_on():
    targets = np.array([[1], [0], [0], [0]])
    outputs = np.array([[0.9], [0.8], [0.1], [0.1]])
    label = judge("labels", targets, outputs, targets, ("a",))["labels"]["a"]
    assert (label["precision"], label["recall"], label["examples"]) == (0.5, 1.0, 1)


def test_the_figures_of_numbers_are_those_of_a_hand():
    targets = np.array([[0.0, 5], [2, 5], [4, 5]], np.float32)
    outputs = np.array([[1.0, 5], [2, 6], [4, 3]], np.float32)
    train = np.array([[0.0, 5], [4, 7]], np.float32)
    figures = judge("number", targets, outputs, train, ("x", "y"))
    # The training means are 2 and 6, the deviations 2 and 1.
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
    classes = judge("class", CLASSES, PROBABILITIES, np.array([1, 1, 0]))
    assert headline(classes) == (
        "accuracy 0.600 (95 % interval 0.231 to 0.882; answering the majority class: 0.400), "
        "5 examples"
    )
    labels = judge("labels", np.eye(2), np.eye(2), np.zeros((2, 2)), ("a", "b"))
    assert headline(labels) == (
        "label accuracy 1.000 (answering each label's majority: 0.500), exact match 1.000, "
        "2 examples"
    )
    numbers = judge("number", np.ones((2, 1)), np.zeros((2, 1)), np.full((1, 1), 4.0), ("x",))
    assert headline(numbers) == (
        "mean absolute error 1.000 (answering the training mean: 3.000), 2 examples"
    )


def test_an_interval_ends_at_0_and_1():
    targets = np.zeros(20, np.int64)
    outputs = np.tile([1.0, 0.0], (20, 1))
    figures = find_task("class").figures.compute(targets, outputs, ("a", "b"), targets)
    assert figures["accuracy_95_percent_interval"][1] == 1.0


def test_the_headline_of_several_numbers_averages_no_units():
    rng = np.random.default_rng(0)
    targets = 48 + rng.normal(size=(30, 2))
    outputs, train = targets + 0.1, targets.copy()
    scale = np.array([1e9, 1e-6])
    plain = judge("number", targets, outputs, train, ("x", "y"))
    scaled = judge("number", targets * scale, outputs * scale, train * scale, ("x", "y"))
    assert headline(scaled) == headline(plain)
    assert "deviations" in headline(plain)
    assert "2 numbers, 30 examples" in headline(plain)


def test_errors_of_numbers_whose_squares_are_no_float_are_judged_all_the_same():
    targets = np.array([[1.0], [2.0], [4.0]]) * 1e-200
    x = judge("number", targets, targets * 1.5, targets, ("x",))["numbers"]["x"]
    reference_targets = np.array([1.0, 2.0, 4.0])
    expected = reference.r2_score(reference_targets, reference_targets * 1.5)
    assert x["r_squared"] == pytest.approx(expected)


def test_the_headline_says_that_the_model_answers_one_class_alone():
    targets = np.array([0] * 60 + [1] * 6)
    flat = np.tile([0.9, 0.1], (66, 1))
    told = headline(judge("class", targets, flat, targets, ("a", "b")))
    assert "The model answers 'a' for all of them: no better than the majority class" in told
    assert "Balanced accuracy 0.500" in told
    nearly = flat.copy()
    nearly[0] = [0.1, 0.9]
    assert "answers 'a' for 65 of them" in headline(
        judge("class", targets, nearly, targets, ("a", "b"))
    )


def test_the_headline_says_nothing_of_a_model_that_finds_the_rare_class():
    targets = np.array([0] * 98 + [1] * 2)
    right = np.eye(2)[targets]
    assert headline(judge("class", targets, right, targets, ("a", "b"))).endswith("100 examples")
    alone = np.zeros(5, np.int64)
    told = headline(judge("class", alone, np.eye(2)[alone], targets, ("a", "b")))
    assert told.endswith("5 examples; not judged: b")


def test_the_headline_says_that_labels_and_numbers_are_no_better_than_their_baseline():
    targets = np.array([[0, 1], [0, 0], [0, 0]])
    told = headline(judge("labels", targets, np.full((3, 2), 0.2), targets, ("a", "b")))
    assert "the same labels for all of them" in told
    numbers = np.array([[1.0], [2.0]])
    told = headline(judge("number", numbers, np.full((2, 1), 1.5), numbers, ("x",)))
    assert told.endswith("No better than the training mean")


def test_many_classes_keep_the_figures_small():
    targets = np.arange(1500)
    outputs = np.random.default_rng(0).random((1500, 1500)).astype(np.float32)
    names = [f"sku_{index:05d}" for index in range(1500)]
    assert len(json.dumps(judge("class", targets, outputs, targets, names), indent=2)) < 400_000


def test_figures_that_a_run_of_before_wrote_still_have_a_headline():
    targets = np.array([0, 0, 1])
    classes = judge("class", targets, np.eye(2)[[0, 0, 0]], targets, ("a", "b"))
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
