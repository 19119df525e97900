"""Units are assigned by shares, and some are moved if a part lacks a class."""

from __future__ import annotations

import numpy as np
import pytest

from kft.data.splitting import stratified_assignment
from kft.data.splitting.stratified_assignment import assign, count_classes
from kft.tasks import find_task

PUZZLE = ("023", "13", "012", "123", "013", "023")


def assign_groups(groups, shares, kept=()):
    """Assign groups, each given as the digits of the classes of its examples."""
    pairs = [(unit, int(digit)) for unit, digits in enumerate(groups) for digit in digits]
    unit_of, targets = np.asarray(pairs).T
    counts = count_classes(targets, find_task("class"), int(targets.max()) + 1, unit_of)
    is_kept = np.isin(np.arange(len(groups)), kept)
    part_of, is_missing = assign(counts, np.asarray(shares), is_kept)
    return part_of.tolist(), np.flatnonzero(is_missing).tolist()


def without_moves(monkeypatch):
    monkeypatch.setattr(stratified_assignment, "_STEPS", 1)


def test_a_puzzle_that_assigning_one_by_one_does_not_solve_is_solved(monkeypatch):
    part_of, missing = assign_groups(PUZZLE, [0.2, 0.2, 0.6])
    assert missing == []
    for part in range(3):
        assert set("0123") == {
            digit
            for digits, place in zip(PUZZLE, part_of, strict=True)
            for digit in digits
            if place == part
        }
    without_moves(monkeypatch)
    assert assign_groups(PUZZLE, [0.2, 0.2, 0.6])[1] == [0, 2]


def test_of_the_groups_that_fill_a_gap_the_smallest_that_opens_none_moves(monkeypatch):
    groups = ["1111", "02222", "1111111", "00", "21111", "2200"]
    thirds = [1 / 3, 1 / 3, 1 / 3]
    assert assign_groups(groups, thirds) == ([0, 0, 1, 2, 2, 1], [])
    without_moves(monkeypatch)
    assert assign_groups(groups, thirds)[0] == [0, 0, 1, 0, 2, 1]


def test_classes_that_cannot_be_everywhere_are_told():
    assert assign_groups(["01", "0"], [0.5, 0.5])[1] == [1]


def test_a_part_without_a_share_gets_what_is_kept_alone():
    part_of, missing = assign_groups(["0", "1"] * 6, [0.5, 0.5, 0.0], kept=[2, 3])
    assert missing == []
    assert [part_of.count(part) for part in range(3)] == [5, 5, 2]
    assert part_of[2] == part_of[3] == 2


def test_what_is_kept_counts_in_the_share_of_its_part():
    part_of, _ = assign_groups(["0"] * 10, [0.2, 0.2, 0.6], kept=range(5))
    assert part_of == [2, 2, 2, 2, 2, 0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("total", "sizes"), [(3, [1, 1, 1]), (4, [1, 1, 2]), (7, [1, 1, 5]), (8, [2, 2, 4])]
)
def test_the_parts_of_few_examples_are_rounded_and_none_is_empty(total, sizes):
    part_of, _ = assign_groups(["0"] * total, [0.2, 0.2, 0.6])
    assert np.bincount(part_of).tolist() == sizes
