from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kft.data.batches import example_cache
from kft.data.batches.example_cache import ExampleCache, JoinedCache

VIEWS, EXAMPLES = 3, 10


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(VIEWS, EXAMPLES, 2, 5)).astype(np.float32)


@pytest.fixture
def map_file(tmp_path):
    def write(values: np.ndarray) -> np.memmap:
        np.save(tmp_path / "values.npy", values)
        return np.load(tmp_path / "values.npy", mmap_mode="r")

    return write


@pytest.fixture(params=["array", "tensor", "large array", "file"])
def cache(request, values, map_file, monkeypatch) -> ExampleCache:
    if request.param == "large array":
        monkeypatch.setattr(example_cache, "_LARGEST_TENSOR_BYTES", 100)
    make = {"tensor": tf.constant, "file": map_file}.get(request.param, np.asarray)
    return ExampleCache(make(values))


def test_it_knows_its_size(cache):
    assert (cache.num_views, cache.num_examples) == (VIEWS, EXAMPLES)


@pytest.mark.parametrize("indices", [[0], [4, 5, 6], [9, 3, 3, 0, 1, 2, 8], []])
@pytest.mark.parametrize("epoch", [0, 2, 3, 100])
def test_rows_come_in_the_order_asked_for_from_the_view_of_the_epoch(cache, values, indices, epoch):
    found = cache.gather(tf.constant(indices, tf.int64), epoch)
    assert np.array_equal(found, values[epoch % VIEWS, np.array(indices, np.int64)])


def test_each_example_may_come_from_a_view_of_its_own(cache, values):
    found = cache.gather(tf.constant([7, 7, 2]), tf.constant([1, 5, 0], tf.int64))
    assert np.array_equal(found, np.stack([values[1, 7], values[2, 7], values[0, 2]]))


def test_a_data_set_knows_the_shape(cache, values):
    batches = tf.data.Dataset.range(EXAMPLES).batch(4).map(cache.gather)
    assert batches.element_spec == tf.TensorSpec((None, 2, 5), tf.float32)
    assert np.array_equal(np.concatenate(list(batches.as_numpy_iterator())), values[0])


@pytest.mark.parametrize("is_on_disk", [True, False])
def test_half_precision_comes_out_as_float32(values, map_file, is_on_disk):
    half = values.astype(np.float16)
    cache = ExampleCache(map_file(half) if is_on_disk else half)
    found = cache.gather(tf.constant([1, 2]))
    assert found.dtype == tf.float32
    assert np.array_equal(found, half[0, 1:3].astype(np.float32))


def test_a_part_of_a_mapped_file_is_read_from_its_place(values, map_file):
    found = ExampleCache(map_file(values)[1:]).gather(tf.constant([4]), 1)
    assert np.array_equal(found, values[2, 4:5])


def test_a_file_that_was_removed_can_still_be_read(values, map_file, tmp_path):
    cache = ExampleCache(map_file(values))
    (tmp_path / "values.npy").unlink()
    assert np.array_equal(cache.gather(tf.constant([3])), values[0, 3:4])


def test_a_file_that_ends_too_early_is_an_error(values, map_file, tmp_path):
    cache = ExampleCache(map_file(values))
    with (tmp_path / "values.npy").open("r+b") as file:
        file.truncate(500)
    with pytest.raises(OSError, match=r"values\.npy ends at byte"):
        cache.gather(tf.constant([EXAMPLES - 1]), VIEWS - 1)


def test_a_large_array_is_not_copied(values, monkeypatch):
    monkeypatch.setattr(example_cache, "_LARGEST_TENSOR_BYTES", 100)
    cache = ExampleCache(values)
    values[0, 3] = 9.0
    assert (cache.gather(tf.constant([3])).numpy() == 9.0).all()


@pytest.mark.parametrize("indices", [[0], [14, 3, 9, 10, 3, 0], [12, 11], [9, 8, 0], []])
def test_joined_caches_are_one_after_the_other(cache, indices):
    more = np.random.default_rng(1).normal(size=(1, 5, 2, 5)).astype(np.float32)
    joined = JoinedCache([cache, ExampleCache(more)])

    def expect(epoch: int) -> np.ndarray:
        first = cache.gather(tf.range(EXAMPLES), epoch).numpy()
        return np.concatenate([first, more[0]])[np.array(indices, int)]

    for epoch in (0, 4):
        found = joined.gather(tf.constant(indices, tf.int64), tf.constant(epoch, tf.int64))
        assert np.array_equal(found, expect(epoch))


def test_joined_caches_know_the_epoch_of_each_example(values):
    joined = JoinedCache([ExampleCache(values), ExampleCache(values[:1] + 100)])
    found = joined.gather(tf.constant([12, 4, 5]), tf.constant([2, 1, 5]))
    assert np.array_equal(found, [values[0, 2] + 100, values[1, 4], values[2, 5]])
