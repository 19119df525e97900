"""Every example of a batch counts once, however many replicas compute it together."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from kft.data.batches.example_cache import ExampleCache
from kft.data.batches.mixing import Mixing
from kft.data.batches.pipeline import make_dataset
from kft.data.batches.shares import WHOLE, Share
from kft.examples import Examples, Files


@given(
    each=st.integers(1, 5),
    processes=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    left_out=st.integers(0, 30),
)
def test_the_shares_of_a_batch_hold_each_of_its_examples_once(each, processes, left_out):
    replicas = sum(processes)
    batch_size = each * replicas
    size = max(1, batch_size - left_out)
    places, weights = [], []
    for first, count in zip(np.cumsum([0, *processes]), processes, strict=False):
        share = Share(replicas, int(first), count)
        own = share.find_weights(tf.constant(size), batch_size).numpy()
        assert len(own) == each * count
        weights.extend(own.tolist())
        places.extend(share.find_places(tf.constant(size), batch_size).numpy().tolist())
    counted = [place for place, weight in zip(places, weights, strict=True) if weight]
    assert counted == list(range(size))
    assert max(places) < size
    # A mean over all places, weighted, is the mean over the examples.
    values = np.random.default_rng(size).normal(size=size)
    weighted = np.mean([values[p] * w for p, w in zip(places, weights, strict=True)])
    assert weighted == pytest.approx(values.mean(), abs=1e-6)


VALUES = np.arange(11, dtype=np.float32)[:, None] * [1.0, 10.0]
NAMES = tuple(map(str, range(11)))
GIVEN = {
    "examples": Examples(NAMES, Files(NAMES), np.arange(11) % 3),
    "decoder": None,
    "batch_size": 6,
    "cache": ExampleCache({"x": VALUES[None].astype(np.float32)}),
    "shuffle_seed": 4,
    "epochs": 2,
}
# Two processes, of which the second has two devices.
SHARES = (Share(3, 0, 1), Share(3, 1, 2))


def read_together(**options) -> list[list[np.ndarray]]:
    """For each batch: inputs, targets and weights of all replicas."""
    streams = [
        [(inputs["x"], *rest) for inputs, *rest in make_dataset(**GIVEN, **options, share=share)]
        for share in SHARES
    ]
    batches = len(streams[0])
    found = []
    for step in range(batches):
        elements = [
            element
            for share, stream in zip(SHARES, streams, strict=True)
            for element in stream[step * share.count : (step + 1) * share.count]
        ]
        found.append([np.concatenate(part) for part in zip(*elements, strict=True)])
    return found


@pytest.mark.parametrize("mixing", [None, Mixing(3, mixup=0.4)], ids=["plain", "mixed"])
@pytest.mark.parametrize("start_step", [0, 3])
def test_together_they_are_the_batches_of_one_replica(mixing, start_step):
    whole = list(make_dataset(**GIVEN, mixing=mixing, start_step=start_step, share=WHOLE))
    shared = read_together(mixing=mixing, start_step=start_step)
    assert len(whole) == len(shared) == 4 - start_step
    for (inputs, targets), (own_inputs, own_targets, weights) in zip(whole, shared, strict=True):
        counted = weights > 0
        assert np.array_equal(own_inputs[counted], inputs["x"])
        assert np.array_equal(own_targets[counted], targets)
        assert len(weights) == 6
        assert weights.sum() == pytest.approx(6)


def test_every_replica_gets_its_own_element_of_one_size():
    elements = list(make_dataset(**GIVEN, share=SHARES[1]))
    assert [len(inputs["x"]) for inputs, _, _ in elements] == [2] * 8
