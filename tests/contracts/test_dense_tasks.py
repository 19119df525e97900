"""Contract of every registered task whose targets move with their examples."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from kft.config import HeadConfig, TrainingConfig
from kft.errors import ConfigError
from kft.tasks import (
    COMPANIONS,
    MASK,
    TASK_SETTINGS,
    TASKS,
    headline,
    load_task,
    make_head,
    restore_head,
    task_of_figures,
)
from kft.tasks.figures import INTERVALS
from kft.tasks.head import Head
from kft.tasks.pooling import FEATURES

NAMES = ("a", "b", "c")
SIDE = 32
LEVELS = {"stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}
CHANNELS = {"stage1": 6, "stage2": 5, "stage3": 4, "stage4": 3, FEATURES: 3}
RANDOM = np.random.default_rng(0)
MASKS = RANDOM.integers(0, 3, (4, SIDE, SIDE)).astype(np.uint8)
MASKS[:, :3] = 255
BOXES = np.full((4, 3, 5), -1, np.float32)
BOXES[0, :2] = [[0, 0.1, 0.1, 0.5, 0.6], [2, 0, 0, 1, 1]]
BOXES[2:, 0] = [[1, 0.3, 0.2, 0.9, 0.4], [0, 0.5, 0.5, 0.6, 0.7]]
# By the word for the targets: what `Examples.targets` holds, and what a batch holds.
TARGETS = {
    "boxes": (BOXES, BOXES),
    "mask": (np.stack([np.bincount(mask.ravel(), minlength=3)[:3] for mask in MASKS]), MASKS),
}
DENSE = [name for name in sorted(TASKS) if load_task(name).companion is not None]

every_task = pytest.mark.parametrize("name", DENSE)


def make(name: str, **config) -> Head:
    task = load_task(name)
    head = make_head(HeadConfig(name=name, **config), task, NAMES, TARGETS[task.word][0])
    return head.read_levels(LEVELS, (SIDE, SIDE))


def build(head: Head) -> keras.Model:
    strides = {**LEVELS, FEATURES: 32}
    inputs = {
        name: keras.Input((SIDE // strides[name], SIDE // strides[name], CHANNELS[name]), name=name)
        for name in head.reads
    }
    return keras.Model(inputs, head.build(inputs))


def make_features(head: Head) -> dict[str, np.ndarray]:
    strides = {**LEVELS, FEATURES: 32}
    return {
        name: RANDOM.normal(
            size=(4, SIDE // strides[name], SIDE // strides[name], CHANNELS[name])
        ).astype(np.float32)
        for name in head.reads
    }


def make_logits(head: Head) -> np.ndarray:
    logits = np.array(build(head)(make_features(head)))
    logits[..., : len(NAMES)] += RANDOM.normal(0, 2, (*logits.shape[:-1], len(NAMES)))
    return logits


def test_every_dense_task_has_targets_here():
    assert DENSE
    assert {load_task(name).word for name in DENSE} == set(TARGETS)


@every_task
def test_its_targets_move_and_mixing_is_refused(name):
    task = load_task(name)
    assert task.companion in COMPANIONS
    assert task.settings <= set(TASK_SETTINGS)
    assert not task.settings & {"mixup", "cutmix", "sampling", "logit_adjustment"}


@every_task
def test_settings_of_the_head_that_it_does_not_obey_are_refused(name):
    given = {"pooling": "max", "hidden": (4,)}
    for setting in given.keys() - load_task(name).head_settings:
        with pytest.raises(ConfigError, match=rf"head\.{setting}: is not for"):
            make(name, **{setting: given[setting]})


@every_task
def test_a_backbone_that_hides_its_blocks_is_refused(name):
    task = load_task(name)
    head = make_head(HeadConfig(), task, NAMES, TARGETS[task.word][0])
    with pytest.raises(ConfigError, match="hides"):
        head.read_levels({}, (SIDE, SIDE))


@every_task
def test_a_described_head_is_restored_to_an_equal_one(name):
    head = make(name)
    again = restore_head(json.loads(json.dumps(head.describe())))
    assert again == head
    assert type(again) is type(head)


@every_task
def test_the_first_answer_does_not_depend_on_the_picture(name):
    head = make(name)
    answers = np.asarray(build(head)(make_features(head)))
    assert answers.dtype == np.float32
    assert np.allclose(answers, answers[:1], atol=1e-6)


@every_task
def test_figures_are_json_and_their_loss_is_that_of_training(name):
    task, head = load_task(name), make(name)
    summary, dense = TARGETS[task.word]
    logits = make_logits(head)
    outputs = head.condense(np.asarray(head.activate(logits)), dense)
    assert len(outputs) == len(dense)
    figures = {"task": name, **task.figures.compute(summary, outputs, NAMES, summary)}
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert task_of_figures(figures) == task
    assert set(figures[task.figures.names_key]) == set(NAMES)
    assert f"{len(dense)} examples" in headline(figures)
    lead = task.figures.lead(figures)
    assert lead.interval is None or lead.interval[0] <= lead.value <= lead.interval[1]
    intervals = dict(figures[INTERVALS])
    assert set(intervals.pop(task.figures.names_key)) == set(NAMES)
    assert set(intervals) <= set(figures)
    losses = task.figures.example_losses(outputs, dense)
    assert losses.shape == (len(dense),) and np.isfinite(losses).all()
    # Boxes are answered after repetitions are left out, which the loss of training does not see.
    if task.companion == MASK:
        assert losses.mean() == pytest.approx(float(head.make_loss()(dense, logits)), rel=1e-4)


@every_task
def test_every_example_has_a_row_of_predictions(name):
    task, head = load_task(name), make(name)
    summary, dense = TARGETS[task.word]
    outputs = head.condense(np.asarray(head.activate(make_logits(head))), dense)
    tables = task.figures.tabulate(NAMES, ["w", "x", "y", "z"], summary, outputs)
    header, *rows = tables["predictions.csv"]
    assert [row[0] for row in rows] == ["w", "x", "y", "z"]
    assert {len(row) for row in rows} == {len(header)} == {len(set(header))}


@every_task
def test_metrics_are_finite_and_made_anew_each_time(name):
    head = make(name)
    _, dense = TARGETS[head.task.word]
    for metric, other in zip(head.make_metrics(), head.make_metrics(), strict=True):
        assert metric is not other
        metric.update_state(dense, make_logits(head))
        assert np.isfinite(float(metric.result()))


@every_task
def test_what_is_served_is_in_the_size_of_the_files(name):
    head = make(name)
    outputs = head.activate(make_logits(head))
    frames = np.array([[50, 40, 0, 0, 1, 1], [20, 60, 0, 0, 1, 1]] * 2, np.float32)
    served = head.serve(outputs, frames)
    assert set(served) == {head.values_output, head.names_output, *head.other_outputs}
    assert {output.name for output in head.compared_outputs} <= set(served)
    arrays = {key: each.numpy() for key, each in served.items()}
    assert arrays[head.names_output].tolist() == [[b"a", b"b", b"c"]] * 4
    assert arrays[head.values_output].shape == (4, 3)
    for row in range(4):
        assert head.find_companion(arrays, row) is not None
    # Decoded examples have no files, so answers are in the size of the input.
    assert set(head.serve(outputs)) == set(served)


@every_task
def test_terms_of_the_pipeline_change_the_loss(name):
    head = make(name)
    summary, dense = TARGETS[head.task.word]
    logits = make_logits(head)
    plain = float(head.make_loss(head.make_terms(TrainingConfig(), summary))(dense, logits))
    changes = {"label_smoothing": 0.2, "focal_gamma": 2.0, "region_loss": "dice"}
    for setting in changes.keys() & head.task.settings:
        terms = head.make_terms(TrainingConfig(**{setting: changes[setting]}), summary)
        assert float(head.make_loss(terms)(dense, logits)) != pytest.approx(plain, rel=1e-5)
