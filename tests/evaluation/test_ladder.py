"""The ladder says how sure each figure is, and how far the model is above each rung."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.ladder import (
    LearningPoint,
    Rung,
    compare_values,
    find_deviation,
    find_mean_interval,
    place_rung,
    read_ladder,
    write_ladder,
)
from kft.statistics import Difference, wilson_interval


def test_a_ladder_is_read_back_as_it_was_written(tmp_path):
    rungs = (
        Rung("majority", 0.5, (0.4, 0.6), 0.0, 8, Difference(0.3, 0.1, 0.5)),
        Rung("probe", 0.8, None, None, None, Difference(0.0, -np.inf, np.inf)),
    )
    points = (LearningPoint(10, 0.5, 0.1), LearningPoint(20, 0.4, 0.1))
    write_ladder(tmp_path, rungs, points)
    assert read_ladder(tmp_path) == (rungs, points)
    assert read_ladder(tmp_path / "elsewhere") == ((), ())


def test_shares_have_wilsons_interval_and_groups_a_wider_one():
    groups = np.repeat(np.arange(20), 10)
    is_right = np.random.default_rng(0).random(20)[groups] < 0.5
    alone, together = (find_mean_interval(is_right, each) for each in (None, groups))
    assert alone == wilson_interval(int(is_right.sum()), 200)
    assert together[0] < alone[0] and alone[1] < together[1]
    assert place_rung(Rung("probe", 0.0), is_right).value == is_right.mean()


def test_the_deviation_of_perfect_answers_is_not_zero():
    assert 0.005 < find_deviation(np.zeros(100, bool)) < 0.05
    groups = np.repeat(np.arange(5), 20)
    assert find_deviation(np.zeros(100), groups) > find_deviation(np.zeros(100))


@pytest.mark.parametrize("is_share", [True, False])
def test_a_gain_is_above_zero_whatever_is_better(is_share):
    random = np.random.default_rng(0)
    before = random.random(200)
    after = before + (0.1 if is_share else -0.1) + random.normal(0, 0.1, 200)
    groups = np.repeat(np.arange(50), 4)
    for each in (None, groups):
        gain = compare_values(before, after, each, is_share=is_share)
        assert gain.is_gain and gain.low < 0.1 < gain.high and not gain.is_loss
    same = compare_values(before, before, groups, is_share=is_share)
    assert (same.gain, same.is_gain, same.is_loss) == (0.0, False, False)
