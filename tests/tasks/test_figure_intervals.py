"""Figures equal scikit-learn's, and their intervals cover the truth."""

from __future__ import annotations

import json
import time
import tracemalloc

import numpy as np
import pytest
from sklearn import metrics

from kft.statistics import wilson_interval
from kft.tasks import find_task
from kft.tasks.figures import INTERVALS

NAMES = ("a", "b", "c", "d", "e", "f")


def compute(kind, targets, outputs, names=NAMES, groups=None):
    figures = find_task(kind).figures.compute(targets, outputs, names, targets, groups)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    return figures


def draw_classes(count, seed=0, names=NAMES, sharpness=1.5):
    random = np.random.default_rng(seed)
    targets = random.integers(0, len(names), count)
    logits = random.normal(size=(count, len(names)))
    logits[np.arange(count), targets] += sharpness
    outputs = np.exp(logits)
    return targets, outputs / outputs.sum(axis=1, keepdims=True)


# Equality with scikit-learn


def test_figures_of_classes_are_those_of_scikit_learn():
    targets, outputs = draw_classes(300)
    figures, predicted = compute("class", targets, outputs), outputs.argmax(axis=1)
    assert figures["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(targets, predicted)
    )
    for kind in ("macro", "weighted"):
        expected = metrics.f1_score(targets, predicted, average=kind)
        assert figures[f"{kind}_f1"] == pytest.approx(expected)
    for number in (3, 5):
        expected = metrics.top_k_accuracy_score(targets, outputs, k=number)
        assert figures[f"top_{number}_accuracy"] == pytest.approx(expected)
    truth = np.eye(6)[targets]
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, outputs))
    assert figures["average_precision"] == pytest.approx(
        metrics.average_precision_score(truth, outputs)
    )
    assert figures["classes"]["c"]["roc_auc"] == pytest.approx(
        metrics.roc_auc_score(targets == 2, outputs[:, 2])
    )


def test_of_equal_probabilities_the_first_class_is_answered_in_every_figure():
    outputs = np.round(draw_classes(200)[1], 1)
    targets = np.arange(200) % 6
    figures = compute("class", targets, outputs)
    assert figures["accuracy"] == np.mean(outputs.argmax(axis=1) == targets)
    # scikit-learn takes the last of them.
    expected = metrics.top_k_accuracy_score(5 - targets, outputs[:, ::-1], k=3)
    assert figures["top_3_accuracy"] == pytest.approx(expected)


def test_classes_without_examples_or_answers_count_as_in_scikit_learn():
    targets = np.array([0, 0, 0, 1, 1, 2])
    outputs = np.eye(6)[[0, 0, 3, 1, 0, 0]] * 0.5 + 1 / 12
    figures, predicted = compute("class", targets, outputs), outputs.argmax(axis=1)
    present = [0, 1, 2]
    assert figures["macro_f1"] == pytest.approx(
        metrics.f1_score(targets, predicted, labels=present, average="macro")
    )
    assert figures["balanced_accuracy"] == pytest.approx(
        metrics.recall_score(targets, predicted, labels=present, average="macro")
    )
    assert figures["classes"]["c"]["precision"] == 0
    assert figures[INTERVALS]["classes"]["c"]["precision"] is None
    assert figures["classes"]["d"]["roc_auc"] is None
    assert figures[INTERVALS]["classes"]["d"]["recall"] is None


def test_one_class_alone_has_no_ranking():
    figures = compute("class", np.zeros(5, int), np.full((5, 2), 0.5), ("a", "b"))
    assert figures["roc_auc"] is None
    assert figures["average_precision"] == 1.0
    assert figures[INTERVALS]["roc_auc"] is None
    assert "top_3_accuracy" not in figures


def test_figures_of_labels_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    truth = (random.random((200, 6)) < 0.3).astype(np.float32)
    outputs = np.clip(0.4 * random.random((200, 6)) + 0.35 * truth, 0, 1)
    figures, predicted = compute("labels", truth, outputs), outputs >= 0.5
    for kind in ("macro", "weighted"):
        expected = metrics.f1_score(truth, predicted, average=kind)
        assert figures[f"{kind}_f1"] == pytest.approx(expected)
    assert figures["average_precision"] == pytest.approx(
        metrics.average_precision_score(truth, outputs)
    )
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, outputs))
    loss = np.mean([metrics.log_loss(truth[:, i], outputs[:, i]) for i in range(6)])
    assert figures["log_loss"] == pytest.approx(loss)
    assert set(figures[INTERVALS]) >= {"accuracy", "exact_match", "macro_f1", "labels"}
    low, high = figures[INTERVALS]["average_precision"]
    assert low < figures["average_precision"] < high


# Intervals


def test_intervals_hold_their_figures():
    figures = compute("class", *draw_classes(200))
    intervals = dict(figures[INTERVALS])
    for name, values in intervals.pop("classes").items():
        for figure, (low, high) in values.items():
            assert low <= figures["classes"][name][figure] <= high
    for figure, (low, high) in intervals.items():
        assert low < figures[figure] < high
    assert intervals["accuracy"] == figures["accuracy_95_percent_interval"]


def test_a_perfect_model_is_as_sure_as_its_examples_allow():
    targets = np.arange(60) % 6
    figures = compute("class", targets, np.eye(6)[targets])
    assert figures["accuracy_95_percent_interval"] == pytest.approx(wilson_interval(60, 60))
    assert figures[INTERVALS]["macro_f1"] is None
    grouped = compute("class", targets, np.eye(6)[targets], groups=np.arange(60) // 6)
    assert grouped["accuracy_95_percent_interval"] == pytest.approx(wilson_interval(10, 10))


def test_groups_widen_the_intervals_and_change_no_figure():
    targets, outputs = draw_classes(40)
    alone = compute("class", np.repeat(targets, 10), np.repeat(outputs, 10, axis=0))
    grouped = compute(
        "class",
        np.repeat(targets, 10),
        np.repeat(outputs, 10, axis=0),
        groups=np.repeat(np.arange(40), 10),
    )
    assert {k: v for k, v in grouped.items() if "interval" not in k} == {
        k: v for k, v in alone.items() if "interval" not in k
    }
    for figure in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc"):
        wide, narrow = (np.ptp(each[INTERVALS][figure]) for each in (grouped, alone))
        assert wide > 2 * narrow, figure


def test_numbers_have_intervals_in_their_unit():
    random = np.random.default_rng(0)
    targets = random.normal(0, (1, 1e-200), (100, 2))
    outputs = targets + random.normal(0, (0.5, 0.5e-200), (100, 2))
    figures = compute("number", targets, outputs, ("x", "y"))
    for name in ("x", "y"):
        for figure, (low, high) in figures[INTERVALS]["numbers"][name].items():
            value = figures["numbers"][name][figure]
            # The squares of such numbers are zero, those of their ratios are not.
            assert low < high
            assert low < value < high or (name, figure) == ("y", "root_mean_squared_error")
    low, high = figures[INTERVALS]["standardised_absolute_error"]
    assert low < figures["standardised_absolute_error"] < high


def test_a_constant_number_has_no_share_of_explained_variance():
    figures = compute("number", np.full((10, 1), 3.0), np.linspace(2, 4, 10)[:, None], ("x",))
    assert figures["numbers"]["x"]["r_squared"] is None
    assert figures[INTERVALS]["numbers"]["x"]["r_squared"] is None


def count_covered(truth, draw_intervals, num_sets=1000):
    """Of so many simulated sets, those whose interval holds the true figure."""
    covered = dict.fromkeys(truth, 0)
    for seed in range(num_sets):
        for figure, (low, high) in draw_intervals(seed).items():
            if figure in truth:
                covered[figure] += low <= truth[figure] <= high
    return covered


@pytest.mark.full
@pytest.mark.parametrize("count", [100, 400])
def test_intervals_of_classes_cover_the_truth(count):
    names = NAMES[:3]
    many = compute("class", *draw_classes(300_000, seed=10_000, names=names), names)
    figures = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "log_loss", "roc_auc")
    covered = count_covered(
        {figure: many[figure] for figure in (*figures, "average_precision")},
        lambda seed: {
            figure: ends
            for figure, ends in compute("class", *draw_classes(count, seed, names), names)[
                INTERVALS
            ].items()
            if figure != "classes"
        },
    )
    assert all(930 <= number <= 970 for number in covered.values()), covered


@pytest.mark.full
def test_intervals_of_numbers_cover_the_truth():
    def draw_intervals(seed):
        random = np.random.default_rng(seed)
        targets = random.normal(size=(300, 1))
        outputs = 0.8 * targets + random.normal(0, 0.4, (300, 1))
        return compute("number", targets, outputs, ("x",))[INTERVALS]["numbers"]["x"]

    deviation = np.sqrt(0.2**2 + 0.4**2)
    truth = {
        "mean_absolute_error": deviation * np.sqrt(2 / np.pi),
        "root_mean_squared_error": deviation,
        "r_squared": 1 - deviation**2,
    }
    covered = count_covered(truth, draw_intervals)
    assert all(930 <= number <= 970 for number in covered.values()), covered


@pytest.mark.full
def test_groups_are_covered_too():
    def draw(num_groups, seed):
        random = np.random.default_rng(seed)
        groups = np.repeat(np.arange(num_groups), 8)
        easy = np.repeat(random.random(num_groups), 8)
        targets = random.integers(0, 2, len(groups))
        is_right = random.random(len(groups)) < 0.5 + 0.5 * easy
        return targets, np.eye(2)[np.where(is_right, targets, 1 - targets)] * 0.8 + 0.1, groups

    def draw_intervals(seed):
        targets, outputs, groups = draw(50, seed)
        return {
            "accuracy": compute("class", targets, outputs, ("a", "b"), groups)[INTERVALS][
                "accuracy"
            ]
        }

    covered = count_covered({"accuracy": 0.75}, draw_intervals)
    assert 930 <= covered["accuracy"] <= 970


# What reports build on


def test_the_leading_figure_stands_beside_its_baseline():
    lead = find_task("class").figures.lead(compute("class", *draw_classes(100)))
    assert lead.name == "accuracy" and lead.is_share
    assert lead.interval[0] < lead.value < lead.interval[1]
    labels = np.eye(6)
    lead = find_task("labels").figures.lead(compute("labels", labels, labels))
    assert (lead.value, lead.interval, lead.baseline) == (1.0, None, 5 / 6)
    numbers = np.arange(20.0).reshape(10, 2)
    for names in (("x",), ("x", "y")):
        columns = numbers[:, : len(names)]
        outputs = columns + np.linspace(0, 1, 10)[:, None]
        lead = find_task("number").figures.lead(compute("number", columns, outputs, names))
        assert not lead.is_share
        assert lead.interval[0] < lead.value < lead.interval[1] < lead.baseline


def test_figures_of_runs_without_intervals_have_a_leading_figure():
    figures = compute("labels", np.eye(6), np.eye(6))
    del figures[INTERVALS]
    assert find_task("labels").figures.lead(figures).interval is None


# Size


def test_a_thousand_predictions_take_less_than_a_second():
    names = [f"class {i}" for i in range(10)]
    targets, outputs = draw_classes(1000, names=names)
    begun = time.process_time()
    compute("class", targets, outputs, names)
    assert time.process_time() - begun < 1


@pytest.mark.full
def test_fifty_thousand_predictions_of_a_thousand_classes_fit_into_memory():
    random = np.random.default_rng(0)
    outputs = random.random((50_000, 1000), np.float32)
    targets = random.integers(0, 1000, 50_000)
    tracemalloc.start()
    begun = time.process_time()
    find_task("class").figures.compute(targets, outputs, list(map(str, range(1000))), targets)
    seconds = time.process_time() - begun
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The outputs themselves are 200 MB.
    assert peak < 400_000_000
    assert seconds < 60
