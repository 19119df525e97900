"""Contract of every augmentation preset."""

from __future__ import annotations

import time
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.config import ImageConfig
from kft.data.batches.pipeline import example_seeds
from kft.modalities import load_modality

NUM_EXAMPLES = 16
HEIGHT, WIDTH = 17, 22
PRESETS = [name for name in load_modality("image").augmentations if name != "none"]
# A few geometric and colour changes, and random policies, each time; the others in the full tier.
OFTEN = {"light", "rand_augment"}
EVERY = [pytest.param(name, marks=[] if name in OFTEN else [pytest.mark.full]) for name in PRESETS]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Make distinct smooth pictures with noise."""
    random = np.random.default_rng(0)
    slopes = random.uniform(-6, 6, (NUM_EXAMPLES, 2, 3))
    rows, columns = np.arange(HEIGHT) - 8, np.arange(WIDTH) - 11
    planes = (
        128
        + slopes[:, 0, None, None, :] * rows[None, :, None, None]
        + slopes[:, 1, None, None, :] * columns[None, None, :, None]
        + random.normal(0, 8, (NUM_EXAMPLES, HEIGHT, WIDTH, 3))
    )
    return np.clip(planes, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=EVERY)
def change(request, pixels):
    """Change the pictures of `indices` in batches through tf.data, with one traced preset."""
    augmentation = load_modality("image").make_augmentation(request.param)
    assert augmentation is not None
    own = tf.function(augmentation, autograph=False)

    def run(batches, *, seed=0, epoch=0, parallel=2, source=pixels, augmentation=own):
        batches = tf.ragged.constant([list(map(int, batch)) for batch in batches], tf.int64)
        changed = tf.data.Dataset.from_tensor_slices(batches).map(
            lambda batch: augmentation(
                {"pixels": tf.gather(source, batch)},
                example_seeds(seed, epoch, tf.ensure_shape(batch, [None])),
            ),
            num_parallel_calls=parallel,
        )
        assert list(changed.element_spec) == ["pixels"]
        assert changed.element_spec["pixels"].shape.as_list() == [None, HEIGHT, WIDTH, 3]
        return [batch["pixels"] for batch in changed.as_numpy_iterator()]

    run.preset = request.param
    return run


EVERYTHING = [range(NUM_EXAMPLES)]


def test_the_settings_name_the_presets_that_there_are():
    named = get_args(ImageConfig.model_fields["augmentation"].annotation)
    assert set(named) == {*PRESETS, "none"}


def test_neither_batch_nor_position_nor_parallelism_changes_a_picture(change):
    whole = change(EVERYTHING, parallel=1)[0]
    order = np.random.default_rng(1).permutation(NUM_EXAMPLES)
    for batches in (
        [[index] for index in order[:5]],
        np.split(order, [7, 9, 14]),
        [[*order, *order[:9]]],
    ):
        for batch, changed in zip(batches, change(batches, parallel=4), strict=True):
            assert np.array_equal(changed, whole[np.asarray(batch)])


def test_the_same_seed_gives_the_same_pictures_also_from_another_object(change):
    first = change(EVERYTHING)[0]
    assert np.array_equal(first, change(EVERYTHING)[0])
    other = load_modality("image").make_augmentation(change.preset)
    assert np.array_equal(first, change(EVERYTHING, augmentation=other)[0])


def test_seed_epoch_and_example_change_differently(change, pixels):
    same = np.stack([pixels[0]] * NUM_EXAMPLES)
    results = [change(EVERYTHING, source=same, **key)[0] for key in ({}, {"seed": 1}, {"epoch": 1})]
    assert len(np.unique(np.concatenate(results), axis=0)) == 3 * NUM_EXAMPLES


def test_pictures_stay_float32_within_range_and_of_their_size(change, pixels):
    extremes = np.where(pixels > 128, 255, 0).astype(np.uint8)
    for source in (pixels, extremes, pixels.astype(np.float32)):
        changed = change(EVERYTHING, source=source)[0]
        assert changed.dtype == np.float32
        assert changed.shape == source.shape
        assert np.isfinite(changed).all()
        assert changed.min() >= 0.0 and changed.max() <= 255.0


def test_pictures_are_changed_but_not_beyond_recognition(change, pixels):
    changed = change(EVERYTHING)[0].reshape(NUM_EXAMPLES, -1)
    before = pixels.reshape(NUM_EXAMPLES, -1).astype(np.float32)
    assert (changed != before).any(axis=1).all()
    # A mirrored plane correlates negatively, an inverted one too: what counts is that it shows.
    likeness = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(before, changed, strict=True)]
    assert np.median(likeness) > 0.25


def test_a_mixed_precision_policy_changes_no_pixel(change, restored_globals):
    expected = change([[0, 1, 2, 3]])[0]
    keras.config.set_dtype_policy("mixed_float16")
    made = load_modality("image").make_augmentation(change.preset)
    assert np.array_equal(change([[0, 1, 2, 3]], augmentation=made)[0], expected)


def test_no_preset_is_slow(change):
    augmentation = load_modality("image").make_augmentation(change.preset)
    pictures = {"pixels": tf.zeros((16, 160, 160, 3), tf.uint8)}
    run = tf.function(lambda epoch: augmentation(pictures, example_seeds(0, epoch, tf.range(16))))
    run(tf.constant(0))
    seconds = []
    for epoch in range(1, 4):
        begun = time.process_time()
        run(tf.constant(epoch))
        seconds.append(time.process_time() - begun)
    # Of the processor, for other tests run beside this one; they still push it out of its caches.
    assert min(seconds) / 16 < 0.02
