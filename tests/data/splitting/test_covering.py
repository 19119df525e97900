"""Where dealing out one by one leaves a class missing, units are dealt out anew."""

from __future__ import annotations

import numpy as np
from made import make_found
from scipy import sparse

from kft.config.schema import DataConfig, SplitConfig
from kft.data.splitting.covering import cover
from kft.data.splitting.dealing import Units, deal, find_missing
from kft.data.splitting.split import split_examples


def make_units(rows) -> Units:
    counts = sparse.csr_array(np.asarray(rows, np.int64))
    sizes = np.asarray(rows, np.int64).sum(axis=1)
    return Units(counts, np.ones(counts.shape[1], bool), sizes, np.arange(len(rows)))


def test_as_few_examples_as_possible_change_their_part():
    units = make_units([[4, 0], [0, 4], [3, 3], [1, 1], [2, 2]])
    part_of = np.asarray([0, 0, 0, 1, 2])
    assert cover(units, part_of, 3).tolist() == part_of.tolist()
    # The third part lacks both classes: the smallest unit that has both moves.
    assert cover(units, np.asarray([0, 0, 0, 1, 1]), 3).tolist() == [0, 0, 0, 2, 1]


def test_units_that_count_alike_stand_for_each_other():
    units = make_units([[1, 0]] * 4 + [[0, 1]] * 2)
    part_of = cover(units, np.zeros(6, np.int64), 2)
    assert not find_missing(units, part_of, 2)
    assert np.bincount(part_of).tolist() == [4, 2]


def test_what_cannot_be_covered_is_told():
    assert cover(make_units([[1, 1], [1, 0]]), np.asarray([0, 1]), 2) is None


def test_a_puzzle_that_dealing_one_by_one_does_not_solve_is_solved():
    classes = ("023", "13", "012", "123", "013", "023")
    pairs = [(f"g{i}", int(name)) for i, names in enumerate(classes) for name in names]
    found = make_found([index for _, index in pairs], groups=[group for group, _ in pairs])
    units = make_units([[str(index) in names for index in range(4)] for names in classes])
    wanted = np.asarray([[1, 1, 1, 1], [1, 1, 1, 1], [2, 1, 2, 3]])
    assert find_missing(units, deal(units, wanted), 3)
    parts = split_examples(found, DataConfig(split=SplitConfig(group_column="place")))
    assert all(set(part.targets) == {0, 1, 2, 3} for part in parts.values())
