"""Contract of every registered task with one vector per example; see `test_dense_tasks`."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from kft.config import HeadConfig, TrainingConfig
from kft.errors import ConfigError
from kft.tasks import (
    TASK_SETTINGS,
    TASKS,
    find_task,
    headline,
    load_task,
    make_head,
    restore_head,
    task_of_figures,
)
from kft.tasks.figures import INTERVALS
from kft.tasks.head import Head
from kft.tasks.loss_terms import LossTerms
from kft.tasks.pooling import FEATURE_VECTOR, FEATURES, pool

NAMES = ("a", "b", "c")
# Targets of each kind for four examples, as `Examples.targets` holds them.
TARGETS = {
    "class": np.array([0, 2, 1, 2], np.int64),
    "labels": np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]], np.float32),
    "number": np.array([[10, 0.1, 5], [30, 0.2, 5], [20, 0.4, 5], [0, 0.3, 5]], np.float32),
}
LOGITS = np.random.default_rng(0).normal(0, 2, (4, 3)).astype(np.float32)

OF_VECTORS = [name for name in sorted(TASKS) if load_task(name).companion is None]
every_task = pytest.mark.parametrize("name", OF_VECTORS)


def make(name: str, **config) -> Head:
    task = load_task(name)
    return make_head(HeadConfig(name=name, **config), task, NAMES, TARGETS[task.word])


def build(head: Head, shape: tuple[int, ...] = (4, 4, 6)) -> keras.Model:
    features = keras.Input(shape)
    return keras.Model(features, head.build({FEATURES: features}))


def test_there_are_tasks_and_each_word_for_targets_names_exactly_one():
    words = [load_task(name).word for name in TASKS]
    assert len(words) == len(set(words)) >= 3
    assert {load_task(name).word for name in OF_VECTORS} == set(TARGETS)
    assert [find_task(word).name for word in words] == list(TASKS)


@every_task
def test_a_task_is_called_as_it_is_registered(name):
    assert load_task(name).name == name
    assert make(name).task == load_task(name)


@every_task
def test_auto_chooses_the_head_of_the_task(name):
    task = load_task(name)
    chosen = make_head(HeadConfig(), task, NAMES, TARGETS[task.word])
    assert type(chosen) is task.head
    assert chosen.class_names == NAMES


@every_task
def test_targets_of_another_task_are_refused(name):
    for kind in set(TARGETS) - {load_task(name).word}:
        with pytest.raises(ConfigError, match=rf"head\.name: '{name}' predicts .* holds '{kind}'"):
            make_head(HeadConfig(name=name), find_task(kind), NAMES, TARGETS[kind])


@every_task
def test_a_task_obeys_settings_that_there_are(name):
    assert load_task(name).settings <= set(TASK_SETTINGS) <= set(TrainingConfig.model_fields)


@every_task
def test_the_text_of_a_target_equals_itself_and_no_other(name):
    task = load_task(name)
    texts = [task.format(target, NAMES) for target in TARGETS[task.word]]
    for place, text in enumerate(texts):
        for other_place, other in enumerate(texts):
            assert task.are_equal(text, other) == (text == other), (place, other_place)


@every_task
def test_members_of_a_name_are_counted_where_a_task_has_names_to_have(name):
    task = load_task(name)
    targets = TARGETS[task.word]
    members, counts = task.find_members(targets, 3), task.count(targets, 3)
    assert counts.dtype == np.int64
    assert [len(found) for found in members] == counts.tolist()
    assert bool(len(counts)) == task.is_stratified
    if task.has_classes:
        assert sorted(np.concatenate(members).tolist()) == list(range(len(targets)))
    assert all(len(places) <= len(targets) for _, places in task.arrange(targets, NAMES))


@every_task
def test_targets_in_another_order_of_names_are_written_the_same(name):
    task = load_task(name)
    targets, places = TARGETS[task.word], np.array([2, 0, 1])
    moved_names = [NAMES[list(places).index(place)] for place in range(3)]
    moved = task.rearrange(targets, places, 3)
    assert moved.dtype == targets.dtype
    back = task.rearrange(moved, np.argsort(places), 3)
    assert np.array_equal(back, targets)
    if task.is_stratified:
        for before, after in zip(targets, moved, strict=True):
            assert set(task.format(before, NAMES).split(";")) == set(
                task.format(after, moved_names).split(";")
            )


@every_task
def test_every_interval_stands_under_the_key_of_its_figure(name):
    task, head = load_task(name), make(name)
    targets = TARGETS[task.word]
    outputs = np.asarray(head.restore_units(np.asarray(head.activate(LOGITS))))
    groups = np.array(["a", "a", "b", "c"])
    for chosen in (None, groups):
        figures = task.figures.compute(targets, outputs, NAMES, targets, chosen)
        intervals = dict(figures[INTERVALS])
        of_names = intervals.pop(task.figures.names_key)
        assert set(intervals) <= set(figures) and set(of_names) == set(NAMES)
        assert all(
            set(of_names[each]) <= set(figures[task.figures.names_key][each]) for each in NAMES
        )
        lead = task.figures.lead(figures)
        assert lead.baseline is not None
        assert lead.interval is None or lead.interval[0] <= lead.value <= lead.interval[1]


@every_task
def test_figures_are_json_and_their_headline_knows_its_task(name):
    task, head = load_task(name), make(name)
    targets = TARGETS[task.word]
    outputs = np.asarray(head.restore_units(np.asarray(head.activate(LOGITS))))
    figures = {"task": name, **task.figures.compute(targets, outputs, NAMES, targets)}
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert task_of_figures(figures) == task
    assert set(figures[task.figures.names_key]) == set(NAMES)
    assert f"{len(targets)} examples" in headline(figures)
    plain = np.asarray(head.activate(LOGITS))
    losses = task.figures.example_losses(plain, head.standardise(targets))
    assert losses.shape == (len(targets),)
    assert losses.mean() == pytest.approx(
        float(head.make_loss()(head.standardise(targets), LOGITS)), rel=1e-4
    )


@every_task
def test_every_example_has_a_row_of_predictions(name):
    task, head = load_task(name), make(name)
    outputs = np.asarray(head.restore_units(np.asarray(head.activate(LOGITS))))
    tables = task.figures.tabulate(NAMES, ["w", "x", "y", "z"], TARGETS[task.word], outputs)
    header, *rows = tables["predictions.csv"]
    assert [row[0] for row in rows] == ["w", "x", "y", "z"]
    assert {len(row) for row in rows} == {len(header)} == {len(set(header))}


@every_task
def test_the_linear_loss_has_the_slopes_of_the_loss_of_training(name):
    task, head = load_task(name), make(name)
    assert task.linear is not None
    targets = head.standardise(TARGETS[task.word])
    training = TrainingConfig()
    stated = head.state_linear(training, head.make_terms(training, targets), targets)
    slopes = LOGITS[:, np.newaxis].astype(np.float64)
    losses = task.linear.replace_by_slopes(slopes, stated.dense)
    step = 1e-5
    for column in range(3):
        moved = LOGITS[:, np.newaxis].astype(np.float64)
        moved[..., column] += step
        after = task.linear.replace_by_slopes(moved, stated.dense)
        assert (after - losses) / step == pytest.approx(slopes[..., column], abs=1e-3)


@every_task
def test_what_is_served_is_named_and_compared(name):
    head = make(name)
    served = head.serve(head.activate(LOGITS))
    assert set(served) == {head.values_output, head.names_output, *head.other_outputs}
    assert {output.name for output in head.compared_outputs} <= set(served)
    assert all(len(output.units) == len(NAMES) for output in head.compared_outputs)
    assert served[head.names_output].numpy().tolist() == [[b"a", b"b", b"c"]] * 4


@every_task
@pytest.mark.parametrize("shape", [(4, 4, 6), (7, 5, 6), (6,)], ids=["square", "oblong", "vector"])
def test_logits_have_one_column_per_name_in_float32(name, shape):
    model = build(make(name), shape)
    assert model.output_shape == (None, 3)
    logits = model(np.ones((4, *shape), np.float32))
    assert logits.shape == (4, 3)
    assert logits.dtype == "float32"


@every_task
def test_logits_stay_in_float32_under_a_mixed_policy(name, restored_globals):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(make(name, hidden=(5,)))
    assert model.layers[-1].compute_dtype == "float32"
    assert model.get_layer("head_hidden1").compute_dtype == "bfloat16"
    assert model(np.ones((2, 4, 4, 6), np.float32)).dtype == "float32"


@every_task
def test_the_first_answer_is_the_same_for_every_picture(name):
    features = np.random.default_rng(0).normal(size=(4, 4, 4, 6)).astype(np.float32)
    assert not np.any(build(make(name))(features))


@every_task
def test_loss_and_metrics_are_finite_and_fall_as_answers_get_better(name):
    head = make(name)
    targets = TARGETS[head.task.word]
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
    if head.task.word == "class":
        return 20 * np.eye(3, dtype=np.float32)[targets]
    if head.task.word == "labels":
        return 20 * (2 * targets - 1)
    return (targets - np.array(head.means)) / np.array(head.deviations)


@every_task
def test_loss_and_metrics_are_made_anew_each_time(name):
    head = make(name)
    assert head.make_loss() is not head.make_loss()
    assert head.make_metrics()[0] is not head.make_metrics()[0]


@every_task
def test_activate_answers_in_the_range_of_the_targets(name):
    head = make(name)
    answers = np.asarray(head.restore_units(np.asarray(head.activate(LOGITS))))
    assert answers.shape == (4, 3)
    if head.task.word == "number":
        expected = LOGITS * np.array(head.deviations) + np.array(head.means)
        assert np.allclose(answers, expected, rtol=1e-6)
        return
    assert (answers > 0).all()
    assert (answers < 1).all()
    assert np.array_equal(answers.argmax(axis=1), LOGITS.argmax(axis=1))
    if head.task.word == "class":
        assert np.allclose(answers.sum(axis=1), 1.0, atol=1e-6)
        shifted = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
        assert np.allclose(answers, shifted / shifted.sum(axis=1, keepdims=True), atol=1e-6)
    else:
        assert np.allclose(answers, 1 / (1 + np.exp(-LOGITS)), atol=1e-6)


@every_task
def test_a_described_head_is_restored_to_an_equal_one(name):
    head = make(name, hidden=(5, 4), dropout=0.25, pooling="max")
    described = json.loads(json.dumps(head.describe()))
    again = restore_head(described)
    assert again == head
    assert type(again) is type(head)
    assert np.array_equal(np.asarray(again.activate(LOGITS)), np.asarray(head.activate(LOGITS)))


@every_task
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


@every_task
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
    head = make_head(HeadConfig(), find_task("number"), ("x",), targets)
    again = head.restore_units(head.standardise(targets))
    assert again.dtype == np.float64
    assert np.abs(again - targets).max() < 1e-6 * spread
    in_graph = np.asarray(
        head.restore_units(keras.ops.convert_to_tensor(head.standardise(targets)))
    )
    assert np.array_equal(in_graph, again)


def test_a_constant_whose_mean_is_rounded_has_no_deviation_to_divide_by():
    head = make_head(HeadConfig(), find_task("number"), ("x",), np.full((10, 1), 0.1))
    assert (head.means, head.deviations) == ((0.1,), (1.0,))
