from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.data.augmentation import make_augmentation
from kft.data.decoding import ImageDecoder
from kft.data.input_pipeline import _locate, make_dataset, num_steps_per_epoch
from kft.data.pixels import find_unreadable, make_pixel_cache, translate_read_errors
from kft.data.splits import Examples
from kft.errors import DataError

DECODER = ImageDecoder(8, 8)
NUM_EXAMPLES = 11


@pytest.fixture
def examples(write_picture) -> Examples:
    paths = tuple(str(write_picture(f"{i:02d}.png", seed=i)) for i in range(NUM_EXAMPLES))
    ids = tuple(path.rsplit("/")[-1] for path in paths)
    return Examples(ids, paths, np.arange(NUM_EXAMPLES, dtype=np.int64))


def make_cache(examples: Examples):
    return make_pixel_cache(examples, DECODER, mode="memory", megabytes=1)


def collect(dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(dataset.as_numpy_iterator())


def assert_same(one, other) -> None:
    for (pixels, targets), (other_pixels, other_targets) in zip(one, other, strict=True):
        assert np.array_equal(pixels, other_pixels)
        assert np.array_equal(targets, other_targets)


@given(
    num_examples=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    seed=st.one_of(st.none(), st.integers(0, 2**31 - 1)),
    epoch=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_each_epoch_is_a_permutation(num_examples, batch_size, seed, epoch):
    steps = num_steps_per_epoch(num_examples, batch_size)
    located = [
        _locate(tf.constant(epoch * steps + step, tf.int64), num_examples, batch_size, seed)
        for step in range(steps)
    ]
    assert all(int(found) == epoch for found, _ in located)
    indices = np.concatenate([batch for _, batch in located])
    assert sorted(indices) == list(range(num_examples))
    if seed is None:
        assert indices.tolist() == list(range(num_examples))


def test_batches_hold_float_pixels_with_their_own_targets(examples):
    batches = collect(make_dataset(examples, DECODER, batch_size=4, shuffle_seed=3))
    assert [len(targets) for _, targets in batches] == [4, 4, 3]
    for pixels, targets in batches:
        assert pixels.dtype == np.float32
        for picture, target in zip(pixels, targets, strict=True):
            expected = DECODER(tf.io.read_file(examples.paths[target])).numpy()
            assert np.array_equal(picture, expected)


def test_the_data_set_says_its_shape_and_length(examples):
    dataset = make_dataset(examples, DECODER, batch_size=4, epochs=3, start_step=2)
    assert dataset.element_spec[0] == tf.TensorSpec((None, 8, 8, 3), tf.float32)
    assert int(dataset.cardinality()) == 3 * num_steps_per_epoch(NUM_EXAMPLES, 4) - 2


def test_epochs_and_seeds_order_differently_and_no_seed_keeps_the_order(examples):
    def order(**options):
        batches = collect(make_dataset(examples, DECODER, batch_size=11, epochs=2, **options))
        return [targets.tolist() for _, targets in batches]

    assert order() == [list(range(11))] * 2
    assert len({tuple(o) for seed in (0, 1) for o in order(shuffle_seed=seed)}) == 4
    assert order(shuffle_seed=5) == order(shuffle_seed=5)


@pytest.mark.parametrize("is_cached", [True, False])
@pytest.mark.parametrize("start_step", [0, 1, 3, 5])
def test_a_late_start_yields_what_would_have_come(examples, is_cached, start_step):
    cache = make_cache(examples) if is_cached else None
    augmentation = make_augmentation("light")
    whole, rest = (
        collect(
            make_dataset(
                examples,
                DECODER,
                batch_size=4,
                cache=cache,
                shuffle_seed=7,
                epochs=2,
                start_step=start,
                augmentation=augmentation,
                seed=7,
            )
        )
        for start in (0, start_step)
    )
    assert_same(whole[start_step:], rest)


def test_what_is_skipped_is_not_read(examples, tmp_path):
    (tmp_path / "00.png").unlink()
    assert len(collect(make_dataset(examples, DECODER, batch_size=1, start_step=1))) == 10


def test_the_cache_changes_nothing(examples):
    options = {"batch_size": 3, "shuffle_seed": 1, "epochs": 2}
    assert_same(
        collect(make_dataset(examples, DECODER, **options)),
        collect(make_dataset(examples, DECODER, cache=make_cache(examples), **options)),
    )


def test_auto_caches_what_fits(examples):
    large = ImageDecoder(200, 200)
    assert make_pixel_cache(examples, large, mode="auto", megabytes=2) is not None
    assert make_pixel_cache(examples, large, mode="auto", megabytes=1) is None
    assert make_pixel_cache(examples, large, mode="memory", megabytes=1) is not None
    assert make_pixel_cache(examples, large, mode="none", megabytes=9) is None
    assert make_pixel_cache(examples.take([]), large, mode="memory", megabytes=9) is None


def test_filling_the_cache_reports_progress(examples):
    seen: list[tuple[int, int]] = []
    make_pixel_cache(
        examples, DECODER, mode="auto", megabytes=1, progress=lambda *now: seen.append(now)
    )
    assert seen == [(NUM_EXAMPLES, NUM_EXAMPLES)]


def test_a_file_that_broke_after_the_check_is_named(examples, tmp_path):
    (tmp_path / "04.png").write_bytes(b"broken")
    (tmp_path / "06.png").unlink()
    assert [path for path, _ in find_unreadable(examples, DECODER)] == [
        examples.paths[4],
        examples.paths[6],
    ]
    with pytest.raises(DataError, match=r"2 of 11 files(.|\n)*04.png(.|\n)*06.png"):
        make_cache(examples)
    with (
        pytest.raises(DataError, match=r"04.png"),
        translate_read_errors(examples, DECODER),
    ):
        collect(make_dataset(examples, DECODER, batch_size=4))


def test_an_error_that_no_file_explains_stays_as_it_was(examples):
    with pytest.raises(tf.errors.InternalError), translate_read_errors(examples, DECODER):
        raise tf.errors.InternalError(None, None, "something else")


def test_a_vector_target_stays_a_vector(examples):
    numbers = Examples(examples.ids, examples.paths, np.ones((NUM_EXAMPLES, 2), np.float32))
    (_, targets), *_ = collect(make_dataset(numbers, DECODER, batch_size=4))
    assert targets.shape == (4, 2) and targets.dtype == np.float32
