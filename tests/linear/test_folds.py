"""Folds leave out whole groups, with the classes spread evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.linear import LinearTargets, solve_linear
from kft.linear.folds import assign_folds, find_seen, hold_out, sample_rows
from kft.tasks import find_task

CLASSES = find_task("class").linear


def make_targets(indices, groups=None):
    return LinearTargets(np.eye(indices.max() + 1, dtype=np.float32)[indices], groups=groups)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(2, 6), st.integers(0, 5))
def test_folds_are_stratified_as_evenly_as_possible(rows, classes, seed):
    indices = np.arange(rows) % classes
    folds = assign_folds(make_targets(indices), CLASSES, seed)
    assert folds.min() == 0
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 1
    for index in range(classes):
        in_fold = np.bincount(folds[indices == index], minlength=len(sizes))
        assert in_fold.max() - in_fold.min() <= 2


@settings(max_examples=30, deadline=None)
@given(st.integers(6, 60), st.integers(2, 20), st.integers(0, 5))
def test_holding_out_leaves_an_example_of_every_class(rows, classes, seed):
    indices = np.sort(np.random.default_rng(seed).integers(0, classes, rows))
    parts = hold_out(make_targets(indices), CLASSES, seed)
    assert set(parts.tolist()) <= {-1, 0}
    assert 1 <= (parts == 0).sum() <= max(1, rows // 5)
    if len(set(indices.tolist())) < rows:
        assert set(indices[parts == -1].tolist()) == set(indices.tolist())


@pytest.mark.parametrize("assign", [assign_folds, hold_out])
def test_a_group_lies_in_one_part(assign):
    groups = np.random.default_rng(0).integers(0, 25, 100)
    parts = assign(make_targets(np.arange(100) % 3, groups), CLASSES, 0)
    assert all(len(set(parts[groups == group].tolist())) == 1 for group in range(25))
    assert len(set(parts.tolist())) == (5 if assign is assign_folds else 2)


def test_groups_of_one_class_each_are_spread_over_the_folds():
    groups = np.repeat(np.arange(20), 5)
    indices = groups // 10
    folds = assign_folds(make_targets(indices, groups), CLASSES, 0)
    for index in (0, 1):
        assert np.bincount(folds[indices == index]).tolist() == [10] * 5


def test_groups_of_numbers_are_spread_by_size():
    groups = np.repeat(np.arange(10), [8, 8, 8, 8, 8, 2, 2, 2, 2, 2])
    targets = LinearTargets(np.zeros((50, 1), np.float32), groups=groups)
    folds = assign_folds(targets, find_task("number").linear, 0)
    assert np.bincount(folds).tolist() == [10] * 5


def test_a_single_group_is_divided():
    targets = make_targets(np.arange(10) % 2, np.zeros(10, np.int64))
    assert set(assign_folds(targets, CLASSES, 0).tolist()) == {0, 1, 2, 3, 4}


def test_copies_in_one_fold_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.normal(size=(40, 60)), 2, axis=0).astype(np.float32)
    indices = np.repeat(rng.integers(0, 2, 40), 2)
    copies = np.repeat(np.arange(40), 2)
    assert solve_linear(noise, make_targets(indices), CLASSES).best.score > 0.8
    assert solve_linear(noise, make_targets(indices, copies), CLASSES).best.score < 0.65


def test_a_sample_has_the_classes_in_proportion():
    indices = np.repeat([0, 1, 2], [60, 30, 10])
    rows = sample_rows(make_targets(indices), CLASSES, 0, 20)
    assert (np.diff(rows) > 0).all()
    assert np.bincount(indices[rows]).tolist() == pytest.approx([12, 6, 2], abs=1)


def test_there_are_as_many_folds_as_asked_for_unless_examples_or_groups_are_fewer():
    indices = np.arange(12) % 3
    assert set(assign_folds(make_targets(indices), CLASSES, 0, 4)) == {0, 1, 2, 3}
    assert set(assign_folds(make_targets(indices[:3]), CLASSES, 0, 4)) == {0, 1, 2}
    grouped = make_targets(indices, groups=np.arange(12) // 6)
    assert set(assign_folds(grouped, CLASSES, 0, 4)) == {0, 1}


def test_a_class_of_one_fold_alone_is_not_seen_outside_of_it():
    classes = np.array([0, 0, 1, 1, 2])
    folds = np.array([0, 1, 0, 0, -1])
    assert find_seen(classes, folds).tolist() == [True, True, False, False, False]
    assert find_seen(None, folds).tolist() == [True, True, True, True, False]
