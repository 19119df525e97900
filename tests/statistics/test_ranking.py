"""Areas under curves are those of scikit-learn; their influences are derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from kft.statistics import rank_columns


def draw(seed: int, *, is_tied: bool = False, count: int = 60):
    random = np.random.default_rng(seed)
    truth = random.random(count) < 0.3
    scores = random.random(count) + 0.5 * truth
    return truth, np.round(scores, 1) if is_tied else scores


@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_areas_are_those_of_scikit_learn(seed, is_tied):
    truth, scores = draw(seed, is_tied=is_tied)
    ranking = rank_columns([truth], scores[:, None])
    assert ranking.roc_auc[0] == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-12)
    average = metrics.average_precision_score(truth, scores)
    assert ranking.average_precision[0] == pytest.approx(average, abs=1e-12)


@pytest.mark.parametrize("is_tied", [False, True])
def test_an_influence_is_the_derivative_by_the_weight_of_an_example(is_tied):
    truth, scores = draw(3, is_tied=is_tied)
    influences = rank_columns([truth], scores[:, None]).influences
    for place, area in enumerate((metrics.roc_auc_score, metrics.average_precision_score)):
        for example in range(0, 60, 7):
            weights = np.ones((2, 60))
            weights[0, example], weights[1, example] = 1 + 1e-5, 1 - 1e-5
            above, below = (area(truth, scores, sample_weight=each) for each in weights)
            slope = 60 * (above - below) / 2e-5
            assert influences[place, example] == pytest.approx(slope, abs=1e-4)
    assert influences.mean(axis=1) == pytest.approx([0, 0], abs=1e-12)


def test_equal_scores_rank_as_chance_and_perfect_ones_have_no_interval():
    truth = np.arange(10) < 4
    equal = rank_columns([truth], np.ones((10, 1)))
    assert equal.means == (0.5, 0.4)
    perfect = rank_columns([truth], truth[:, None].astype(float))
    assert perfect.means == (1.0, 1.0)
    assert np.isnan(perfect.find_intervals()).all()


def test_a_column_without_positives_or_without_others_does_not_count():
    truth, scores = draw(0)
    none, every = np.zeros(60, bool), np.ones(60, bool)
    ranking = rank_columns([truth, none, every], np.repeat(scores[:, None], 3, axis=1))
    alone = rank_columns([truth], scores[:, None])
    assert np.isnan(ranking.roc_auc).tolist() == [False, True, True]
    assert np.isnan(ranking.average_precision).tolist() == [False, True, False]
    assert ranking.average_precision[2] == 1.0
    assert ranking.means[0] == alone.means[0]
    assert np.allclose(ranking.influences[0], alone.influences[0])
    assert all(np.isnan(rank_columns([none], scores[:, None]).means))


def test_groups_widen_the_interval_of_a_ranking():
    truth, scores = draw(1)
    twice = rank_columns([np.repeat(truth, 4)], np.repeat(scores, 4)[:, None])
    once = rank_columns([truth], scores[:, None])
    grouped = twice.find_intervals(np.repeat(np.arange(60), 4))
    assert np.allclose(grouped, once.find_intervals(), atol=1e-9)
    assert (np.ptp(twice.find_intervals(), axis=1) < 0.6 * np.ptp(grouped, axis=1)).all()
