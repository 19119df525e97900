"""Resampled intervals cover the truth, whatever the figure."""

from __future__ import annotations

import numpy as np
import pytest

from kft.statistics import bootstrap_intervals, describe_ends


def mean_of(values: np.ndarray):
    return lambda weights: values[np.newaxis] @ weights / weights.sum(axis=0)


def test_the_same_seed_gives_the_same_interval_whatever_is_held_at_once(monkeypatch):
    values = np.random.default_rng(0).random(50)
    whole = bootstrap_intervals(mean_of(values), 50)
    assert np.array_equal(whole, bootstrap_intervals(mean_of(values), 50))
    assert not np.array_equal(whole, bootstrap_intervals(mean_of(values), 50, seed=1))
    monkeypatch.setattr("kft.statistics.bootstrap._HELD_WEIGHTS", 50 * 7)
    parts = bootstrap_intervals(mean_of(values), 50)
    assert np.allclose(parts, whole, atol=0.01)


def test_the_interval_of_a_mean_is_that_of_student():
    values = np.random.default_rng(0).normal(size=12)
    ((low, high),) = bootstrap_intervals(mean_of(values), 12, num_resamples=20_000)
    half = 2.201 * values.std(ddof=1) / np.sqrt(12)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_examples_of_one_group_count_as_one():
    values = np.repeat(np.random.default_rng(0).normal(size=20), 10)
    groups = np.repeat(np.arange(20), 10)
    ((alone_low, alone_high),) = bootstrap_intervals(mean_of(values), 200)
    ((low, high),) = bootstrap_intervals(mean_of(values), 200, groups)
    ((few_low, few_high),) = bootstrap_intervals(mean_of(values[::10]), 20)
    assert high - low == pytest.approx(few_high - few_low, rel=1e-9)
    assert high - low > 2.5 * (alone_high - alone_low)


def test_where_all_resamples_agree_the_interval_is_unknown():
    ends = bootstrap_intervals(mean_of(np.ones(30)), 30)
    assert np.isnan(ends).all()
    assert describe_ends(ends[0]) is None
    assert np.isnan(bootstrap_intervals(mean_of(np.array([0.3])), 1)).all()


def test_resamples_that_do_not_determine_a_figure_are_left_out():
    def statistic(weights):
        both = np.stack([weights[0] / weights.sum(axis=0), np.full(weights.shape[1], np.nan)])
        both[0, weights[1] == 0] = np.nan
        return both

    known, unknown = bootstrap_intervals(statistic, 10)
    assert 0 <= known[0] < known[1] < 1
    assert describe_ends(unknown) is None
    assert describe_ends(known, digits=1) == [round(known[0], 1), round(known[1], 1)]
