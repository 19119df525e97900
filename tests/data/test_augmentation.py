from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.data.augmentation import GeometricAugmentation, LayerAugmentation, make_augmentation
from kft.data.input_pipeline import example_seeds
from kft.errors import ConfigError

NUM_EXAMPLES = 12


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (NUM_EXAMPLES, 16, 16, 3), dtype=np.uint8)


def change(augmentation, pixels, indices, *, epoch=0, seed=0, parallel=1) -> list[np.ndarray]:
    """The changed pictures at `indices`, batch by batch, through tf.data."""
    dataset = tf.data.Dataset.from_tensor_slices(np.asarray(indices, np.int64)).map(
        lambda batch: augmentation(
            tf.gather(pixels, batch), example_seeds(seed, tf.constant(epoch, tf.int64), batch)
        ),
        num_parallel_calls=parallel,
    )
    return list(dataset.as_numpy_iterator())


def test_a_picture_changes_alike_whatever_its_batch_order_and_parallelism(pixels):
    augmentation = make_augmentation("light")
    whole = change(augmentation, pixels, [list(range(NUM_EXAMPLES))])[0]
    order = np.random.default_rng(1).permutation(NUM_EXAMPLES).reshape(4, 3)
    for batch, changed in zip(order, change(augmentation, pixels, order, parallel=4), strict=True):
        assert np.array_equal(changed, whole[batch])


def test_another_object_gives_the_same_pictures(pixels):
    changed = [change(make_augmentation("light"), pixels, [[3, 4]])[0] for _ in range(2)]
    assert np.array_equal(*changed)


def test_pictures_differ_by_example_epoch_and_seed(pixels):
    same = np.stack([pixels[0]] * NUM_EXAMPLES)
    augmentation = make_augmentation("light")
    first, epoch, seed = (
        change(augmentation, same, [list(range(NUM_EXAMPLES))], **key)[0]
        for key in ({}, {"epoch": 1}, {"seed": 1})
    )
    everything = np.concatenate([first, epoch, seed])
    assert len(np.unique(everything, axis=0)) == 3 * NUM_EXAMPLES


def test_changed_pictures_stay_float32_in_range_and_light(pixels):
    smooth = np.repeat(np.arange(16, dtype=np.uint8)[:, np.newaxis] * 16, 16, axis=1)
    smooth = np.stack([np.stack([smooth] * 3, axis=-1)] * NUM_EXAMPLES)
    changed = change(make_augmentation("light"), smooth, [list(range(NUM_EXAMPLES))])[0]
    assert changed.dtype == np.float32
    assert changed.min() >= 0.0 and changed.max() <= 255.0
    assert np.abs(changed - smooth).max() <= 80.0  # 0.1 shift and zoom of 16 levels of 16


def test_about_half_of_the_pictures_are_flipped():
    ramp = np.tile(np.arange(16, dtype=np.uint8)[np.newaxis, :, np.newaxis], (200, 16, 1, 3))
    changed = change(make_augmentation("light"), ramp, [list(range(200))])[0]
    flipped = changed[:, 8, 12, 0] < changed[:, 8, 4, 0]
    assert 80 <= flipped.sum() <= 120


def test_without_shift_and_zoom_a_picture_is_kept_or_mirrored(pixels):
    changed = change(GeometricAugmentation(0.0, 0.0), pixels, [list(range(NUM_EXAMPLES))])[0]
    for before, after in zip(pixels, changed, strict=True):
        assert min(np.abs(after - before).max(), np.abs(after - before[:, ::-1]).max()) < 0.01


def test_a_mixed_precision_policy_leaves_pixels_in_float32(pixels):
    expected = change(make_augmentation("light"), pixels, [[0, 1]])[0]
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert np.array_equal(change(make_augmentation("light"), pixels, [[0, 1]])[0], expected)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "make_layer",
    [
        lambda: keras.layers.RandAugment(value_range=(0, 255)),
        lambda: keras.layers.RandomRotation(0.2),
        lambda: keras.layers.RandomZoom(0.2),
        lambda: keras.layers.RandomColorJitter(
            value_range=(0, 255), brightness_factor=0.2, hue_factor=0.1
        ),
    ],
    ids=["RandAugment", "RandomRotation", "RandomZoom", "RandomColorJitter"],
)
def test_layers_of_keras_become_pure(pixels, make_layer):
    augmentation = LayerAugmentation([make_layer()])
    whole = change(augmentation, pixels, [[0, 1, 2, 3]])[0]
    assert not np.array_equal(whole, pixels[:4])
    for part, expected in zip(
        change(augmentation, pixels, [[3, 0], [2, 1]]), ([3, 0], [2, 1]), strict=True
    ):
        assert np.array_equal(part, whole[expected])


def test_none_changes_nothing_and_unknown_presets_are_refused():
    assert make_augmentation("none") is None
    with pytest.raises(ConfigError, match=r"unknown augmentation 'lihgt'. Did you mean 'light'"):
        make_augmentation("lihgt")
