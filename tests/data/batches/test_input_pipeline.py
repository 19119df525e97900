from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kft.data.batches.decoded import make_decoded_cache
from kft.data.batches.example_cache import ExampleCache
from kft.data.batches.mixing import Mixing
from kft.data.batches.pipeline import make_dataset, make_view_dataset, num_steps_per_epoch
from kft.examples import Examples, Files
from kft.modalities import load_modality
from kft.modalities.image.decoding import ImageDecoder

DECODER = ImageDecoder(8, 8)
NUM_EXAMPLES = 11


@pytest.fixture
def examples(write_picture) -> Examples:
    paths = tuple(str(write_picture(f"{i:02d}.png", seed=i)) for i in range(NUM_EXAMPLES))
    ids = tuple(path.rsplit("/")[-1] for path in paths)
    return Examples(ids, Files(paths), np.arange(NUM_EXAMPLES, dtype=np.int64))


def make_cache(examples: Examples):
    return make_decoded_cache(
        examples, DECODER, mode="memory", megabytes=1, content_key="k", limit_gigabytes=1.0
    )


def collect(dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels and targets of each batch."""
    return [(only_pixels(inputs), targets) for inputs, targets in dataset.as_numpy_iterator()]


def only_pixels(inputs) -> np.ndarray:
    assert list(inputs) == ["pixels"]
    return inputs["pixels"]


def assert_same(one, other) -> None:
    for (pixels, targets), (other_pixels, other_targets) in zip(one, other, strict=True):
        assert np.array_equal(pixels, other_pixels)
        assert np.array_equal(targets, other_targets)


def test_batches_hold_float_pixels_with_their_own_targets(examples):
    batches = collect(make_dataset(examples, DECODER, batch_size=4, shuffle_seed=3))
    assert [len(targets) for _, targets in batches] == [4, 4, 3]
    for pixels, targets in batches:
        assert pixels.dtype == np.float32
        for picture, target in zip(pixels, targets, strict=True):
            expected = DECODER(tf.io.read_file(examples.inputs.paths[target]))["pixels"].numpy()
            assert np.array_equal(picture, expected)


def test_the_data_set_says_its_shape_and_length(examples):
    dataset = make_dataset(examples, DECODER, batch_size=4, epochs=3, start_step=2)
    assert dataset.element_spec[0] == {"pixels": tf.TensorSpec((None, 8, 8, 3), tf.float32)}
    assert int(dataset.cardinality()) == 3 * num_steps_per_epoch(NUM_EXAMPLES, 4) - 2


def test_epochs_and_seeds_order_differently_and_no_seed_keeps_the_order(examples):
    def order(**options):
        batches = collect(make_dataset(examples, DECODER, batch_size=11, epochs=2, **options))
        return [targets.tolist() for _, targets in batches]

    assert order() == [list(range(11))] * 2
    assert len({tuple(o) for seed in (0, 1) for o in order(shuffle_seed=seed)}) == 4
    assert order(shuffle_seed=5) == order(shuffle_seed=5)


@pytest.mark.parametrize("is_cached", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize("sampling", ["natural", "balanced"])
def test_a_late_start_yields_what_would_have_come(examples, is_cached, sampling):
    cache = make_cache(examples) if is_cached else None
    augmentation = load_modality("image").make_augmentation("light")

    def batches_from(step):
        return collect(
            make_dataset(
                examples,
                DECODER,
                batch_size=4,
                cache=cache,
                shuffle_seed=7,
                sampling=sampling,
                epochs=2,
                start_step=step,
                augmentation=augmentation,
                mixing=Mixing(NUM_EXAMPLES, mixup=0.5, cutmix=0.5),
                seed=7,
            )
        )

    whole = batches_from(0)
    for step in (0, 1, 3, 5):
        assert_same(whole[step:], batches_from(step))


def test_what_is_skipped_is_not_read(examples, tmp_path):
    (tmp_path / "00.png").unlink()
    assert len(collect(make_dataset(examples, DECODER, batch_size=1, start_step=1))) == 10


def test_the_cache_changes_nothing(examples):
    options = {"batch_size": 3, "shuffle_seed": 1, "epochs": 2}
    assert_same(
        collect(make_dataset(examples, DECODER, **options)),
        collect(make_dataset(examples, DECODER, cache=make_cache(examples), **options)),
    )


def test_a_vector_target_stays_a_vector(examples):
    numbers = Examples(examples.ids, examples.inputs, np.ones((NUM_EXAMPLES, 2), np.float32))
    (_, targets), *_ = collect(make_dataset(numbers, DECODER, batch_size=4))
    assert targets.shape == (4, 2) and targets.dtype == np.float32


def test_the_views_of_a_cache_come_in_turn(examples):
    values = np.arange(3 * NUM_EXAMPLES, dtype=np.float32).reshape(3, NUM_EXAMPLES, 1)
    cache = ExampleCache({"stage3": values, "mask": values.astype(np.int32)})
    batches = make_dataset(examples, DECODER, batch_size=11, cache=cache, epochs=7)
    for epoch, (inputs, targets) in enumerate(batches.as_numpy_iterator()):
        for name in ("stage3", "mask"):
            expected = epoch % 3 * NUM_EXAMPLES + targets
            assert inputs[name][:, 0].tolist() == expected.tolist()


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_view_is_what_its_epoch_shows(examples, is_cached):
    options = {
        "cache": make_cache(examples) if is_cached else None,
        "augmentation": load_modality("image").make_augmentation("light"),
        "seed": 5,
    }
    trained = collect(
        make_dataset(examples, DECODER, batch_size=3, shuffle_seed=2, epochs=3, **options)
    )
    for view in range(3):
        batches = make_view_dataset(examples, DECODER, view=view, batch_size=4, **options)
        shown = np.concatenate([only_pixels(batch) for batch in batches.as_numpy_iterator()])
        for pixels, targets in trained[view * 4 : view * 4 + 4]:
            assert np.array_equal(pixels, shown[targets])


@pytest.mark.parametrize("is_cached", [True, False])
def test_some_of_the_examples_can_be_chosen(examples, is_cached):
    chosen = np.array([10, 0, 3, 4, 7])
    cache = make_cache(examples) if is_cached else None
    options = {"view": 0, "batch_size": 4, "cache": cache}
    some, whole = (
        [
            only_pixels(batch)
            for batch in make_view_dataset(examples, DECODER, chosen=places, **options)
        ]
        for places in (chosen, None)
    )
    assert [len(batch) for batch in some] == [4, 1]
    assert np.array_equal(np.concatenate(some), np.concatenate(whole)[chosen])


def test_an_example_that_comes_twice_in_an_epoch_is_changed_in_two_ways(examples):
    rare = Examples(examples.ids, examples.inputs, np.array([0] * 10 + [1]))
    (pixels, targets), *_ = collect(
        make_dataset(
            rare,
            DECODER,
            batch_size=11,
            sampling="balanced",
            shuffle_seed=0,
            augmentation=load_modality("image").make_augmentation("light"),
        )
    )
    shown = pixels[targets == 1]
    assert len(shown) in (5, 6)
    assert len(np.unique(shown, axis=0)) == len(shown)


def test_mixing_depends_on_the_seed_and_the_step(examples):
    def mixed(seed):
        options = {"batch_size": 11, "epochs": 2, "mixing": Mixing(NUM_EXAMPLES, mixup=1.0)}
        return [t for _, t in collect(make_dataset(examples, DECODER, seed=seed, **options))]

    first, again, other = mixed(1), mixed(1), mixed(2)
    assert np.array_equal(first, again)
    assert len(np.unique(np.stack([*first, *other]), axis=0)) == 4
