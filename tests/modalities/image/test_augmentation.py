from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.data.batches.pipeline import example_seeds
from kft.errors import ConfigError
from kft.modalities import load_modality
from kft.modalities.image.augmentation import PictureAugmentation, Recoloured, SeededLayer
from kft.modalities.image.jitter import ImageJitter
from kft.modalities.image.policies import _apply_in_turn, _apply_one, _mix_chains, _solarize

NUM_EXAMPLES = 12


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (NUM_EXAMPLES, 16, 16, 3), dtype=np.uint8)


def change(augmentation, pixels, *, seed: int = 0) -> np.ndarray:
    seeds = example_seeds(seed, 0, tf.range(len(pixels)))
    changed = tf.function(augmentation)({"pixels": tf.constant(pixels)}, seeds)
    return changed["pixels"].numpy()


def photograph(**largest) -> PictureAugmentation:
    return PictureAugmentation(ImageJitter(**largest))


def test_none_changes_nothing_and_unknown_presets_are_refused():
    assert load_modality("image").make_augmentation("none") is None
    with pytest.raises(ConfigError, match=r"unknown augmentation 'lihgt'. Did you mean 'light'"):
        load_modality("image").make_augmentation("lihgt")


def test_light_moves_by_no_more_than_it_says():
    smooth = np.repeat(np.arange(16, dtype=np.uint8)[:, np.newaxis] * 16, 16, axis=1)
    smooth = np.stack([np.stack([smooth] * 3, axis=-1)] * NUM_EXAMPLES)
    changed = change(load_modality("image").make_augmentation("light"), smooth)
    assert np.abs(changed - smooth).max() <= 80.0  # 0.1 shift and zoom of 16 levels of 16


def test_about_half_of_the_pictures_are_flipped():
    ramp = np.tile(np.arange(16, dtype=np.uint8)[np.newaxis, :, np.newaxis], (200, 16, 1, 3))
    changed = change(load_modality("image").make_augmentation("light"), ramp)
    flipped = changed[:, 8, 12, 0] < changed[:, 8, 4, 0]
    assert 80 <= flipped.sum() <= 120


def test_without_shift_and_zoom_a_picture_is_kept_or_mirrored(pixels):
    changed = change(photograph(), pixels)
    for before, after in zip(pixels, changed, strict=True):
        assert min(np.abs(after - before).max(), np.abs(after - before[:, ::-1]).max()) < 0.01


def test_a_turn_keeps_the_centre_and_moves_the_rim():
    # Brightness is the angle around the centre, so that a turn adds one number all over.
    rows, columns = np.mgrid[:33, :33] - 16.0
    angles = np.degrees(np.arctan2(rows, columns))
    rings = (rows**2 + columns**2 > 9) & (rows**2 + columns**2 < 225)
    picture = np.tile((angles / 2 + 90)[None, :, :, None], (20, 1, 1, 3)).astype(np.float32)
    changed = change(photograph(degrees=20.0), picture)
    sides = rings & (np.abs(angles) < 60)  # away from where the angle jumps
    turns = []
    for after in changed:
        straight, mirrored = (
            (side[..., 0] - picture[0, ..., 0])[sides] * 2 for side in (after, after[:, ::-1])
        )
        best = min(straight, mirrored, key=np.std)
        assert np.std(best) < 1.0
        turns.append(np.mean(best))
    assert max(np.abs(turns)) <= 20.5
    assert np.std(turns) > 5.0


def test_colour_changes_brightness_contrast_and_saturation_within_bounds(pixels):
    only_colour = photograph(colour=0.3)
    grey = np.full((40, 8, 8, 3), 100, np.uint8)
    brightness = change(only_colour, grey)
    assert np.ptp(brightness, axis=(1, 2, 3)).max() < 0.01  # an even grey stays even
    factors = brightness[:, 0, 0, 0] / 100
    assert 0.7 <= factors.min() < 0.8 and 1.2 < factors.max() <= 1.3
    red = np.full((40, 8, 8, 3), (150, 90, 90), np.uint8)
    changed = change(only_colour, red)
    saturation = (changed[:, 0, 0, 0] - changed[:, 0, 0, 1]) / 60 / factors
    assert 0.7**2 <= saturation.min() < 0.8 and 1.2 < saturation.max() <= 1.3**2


def test_erasing_covers_one_rectangle_of_half_of_the_pictures():
    base = np.tile(np.arange(40)[None, :, None, None] * 6, (60, 1, 40, 3)).astype(np.uint8)
    kept = change(photograph(), base)
    erased = change(photograph(erasing=0.5), base)
    shares = []
    for before, after in zip(kept, erased, strict=True):
        covered = (before != after).any(axis=-1)
        # Where the mean brightness is the picture's own, a row in the rectangle does not show.
        rows, columns = covered.any(axis=1), covered.any(axis=0)
        assert covered.sum() >= 0.9 * rows.sum() * columns.sum()
        shares.append(covered.mean())
    assert 18 <= np.count_nonzero(shares) <= 42
    assert max(shares) <= 0.23


@pytest.mark.parametrize(
    "make_layer",
    [
        lambda: keras.layers.RandomRotation(0.2),
        lambda: keras.layers.RandomZoom(0.2),
        lambda: keras.layers.RandomColorJitter(
            value_range=(0, 255), brightness_factor=0.2, hue_factor=0.1
        ),
    ],
    ids=["RandomRotation", "RandomZoom", "RandomColorJitter"],
)
def test_layers_of_keras_become_pure(pixels, make_layer):
    augmentation = PictureAugmentation(Recoloured(SeededLayer(make_layer())))
    whole = change(augmentation, pixels)
    assert not np.array_equal(whole, pixels)
    assert np.array_equal(change(augmentation, pixels[:5]), whole[:5])


def add(number: float):
    return Recoloured(lambda picture, seed: picture + number)


def test_of_several_changes_each_is_drawn_about_equally_often():
    changes = tuple(add(float(n)) for n in range(4))
    augmentation = PictureAugmentation(lambda p, s: _apply_one(changes, p, s))
    drawn = change(augmentation, np.zeros((400, 1, 1, 3), np.uint8))[:, 0, 0, 0]
    counts = np.bincount(drawn.astype(int), minlength=4)
    assert counts.min() >= 70 and counts.max() <= 130


def test_changes_in_turn_are_as_many_as_asked_for_and_differently_drawn():
    changes = (add(1.0), add(10.0))
    augmentation = PictureAugmentation(lambda p, s: _apply_in_turn(changes, 2, p, s))
    drawn = change(augmentation, np.zeros((100, 1, 1, 3), np.uint8))[:, 0, 0, 0]
    assert set(drawn) == {2.0, 11.0, 20.0}


def test_mixed_chains_stay_between_the_picture_and_the_most_changes():
    augmentation = PictureAugmentation(lambda p, s: _mix_chains((), (add(10.0),), p, s))
    drawn = change(augmentation, np.zeros((100, 1, 1, 3), np.uint8))[:, 0, 0, 0]
    assert drawn.min() >= 0.0 and drawn.max() <= 30.0
    assert len(np.unique(drawn)) == 100
    assert drawn.mean() == pytest.approx(10.0, abs=2.0)  # half of two operations on average


def test_solarizing_inverts_what_is_bright():
    ramp = tf.constant(np.tile(np.arange(256.0)[None, :, None], (1, 1, 3)), tf.float32)
    changed = _solarize(0.5, ramp, tf.constant([0, 1])).numpy()[0, :, 0]
    threshold = int(np.argmax(changed != np.arange(256)))
    assert 128 <= threshold < 256
    assert np.array_equal(changed[threshold:], 255.0 - np.arange(256)[threshold:])
