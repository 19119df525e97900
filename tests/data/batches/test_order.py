from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.data.batches.order import make_order
from kft.errors import ConfigError

seeds = st.one_of(st.none(), st.integers(0, 2**31 - 1))


def draw(targets, sampling, seed, epoch) -> tuple[np.ndarray, np.ndarray]:
    order = make_order(np.asarray(targets), sampling=sampling, shuffle_seed=seed)
    positions = tf.range(len(targets), dtype=tf.int64)
    times, indices = order(tf.constant(epoch, tf.int64), positions)
    return times.numpy(), indices.numpy()


def is_even(counts) -> bool:
    return max(counts) - min(counts) <= 1


@given(num_examples=st.integers(1, 60), seed=seeds, epoch=st.integers(0, 1000))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_natural_epoch_is_a_permutation(num_examples, seed, epoch):
    times, indices = draw([0] * num_examples, "natural", seed, epoch)
    assert sorted(indices) == list(range(num_examples))
    assert set(times) == {epoch}
    if seed is None:
        assert indices.tolist() == list(range(num_examples))


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    seed=seeds,
    epoch=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_balanced_epoch_has_each_class_and_each_member_of_it_equally_often(counts, seed, epoch):
    targets = np.repeat(np.arange(len(counts)) * 2, counts)  # class 1 has no example
    _, indices = draw(targets, "balanced", seed, epoch)
    assert len(indices) == len(targets)
    num_draws = Counter(indices.tolist())
    per_class = [sum(num_draws[i] for i in np.flatnonzero(targets == c)) for c in set(targets)]
    assert is_even(per_class)
    for index in set(targets):
        assert is_even([num_draws[i] for i in np.flatnonzero(targets == index)])


def test_over_epochs_every_example_of_a_class_comes_equally_often_each_time_counted():
    targets = np.array([0] * 20 + [1] * 3)
    drawn = [draw(targets, "balanced", 5, epoch) for epoch in range(9)]
    pairs = [pair for times, indices in drawn for pair in zip(times, indices, strict=True)]
    assert len(set(pairs)) == len(pairs)
    totals = Counter(int(index) for _, index in pairs)
    assert is_even([totals[i] for i in range(20)])
    assert is_even([totals[i] for i in range(20, 23)])


@pytest.mark.parametrize("sampling", ["natural", "balanced"])
def test_seeds_and_epochs_order_differently(sampling):
    targets = np.arange(40) % 3
    orders = [draw(targets, sampling, seed, epoch)[1] for seed in (0, 1) for epoch in (0, 1)]
    assert len(np.unique(orders, axis=0)) == 4
    assert np.array_equal(draw(targets, sampling, 0, 1)[1], orders[1])


@pytest.mark.parametrize("sampling", ["natural", "balanced"])
def test_a_part_of_an_epoch_is_the_same_drawn_alone(sampling):
    targets = np.arange(40) % 3
    order = make_order(targets, sampling=sampling, shuffle_seed=2)
    _, indices = order(tf.constant(4, tf.int64), tf.range(10, 17, dtype=tf.int64))
    assert np.array_equal(indices, draw(targets, sampling, 2, 4)[1][10:17])


def test_balance_needs_classes():
    with pytest.raises(ConfigError, match=r"training.sampling: 'balanced'.*labels or numbers"):
        make_order(np.zeros((4, 2), np.float32), sampling="balanced", shuffle_seed=0)
