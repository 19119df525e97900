"""Augmentation with operations drawn from a list: TrivialAugment, RandAugment, AugMix.

The operations are Keras layers with a uniformly drawn strength. Keras's own
RandAugment computes all operations for each one that it draws (20 ms per
picture of 160 px); here only the drawn one is computed. As in the papers,
pictures are mirrored and shifted first, as in `light`. What moves a picture moves
its mask and boxes too, so it is kft's own: Keras's layers fill masks with class 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from kft.modalities.image.augmentation import (
    Change,
    PictureAugmentation,
    Recoloured,
    SeededLayer,
)
from kft.modalities.image.geometry import EXTENT, Scene, move
from kft.modalities.image.input_spec import PIXELS
from kft.modalities.image.jitter import LIGHT
from kft.tasks.base import COMPANIONS

_NUM_CHAINS = 3
_MOST_OPERATIONS = 3


def make_trivial_augment() -> PictureAugmentation:
    """Make TrivialAugment: one operation per picture, with a strength from the whole range.

    Source: Müller and Hutter, TrivialAugment, arXiv:2103.10158, with the
    operations and ranges of its RandAugment variant.
    """
    return _after_light(partial(_apply_one, _geometry(1.0) + _colour(1.0)))


def make_rand_augment() -> PictureAugmentation:
    """Make RandAugment: two operations in sequence, with up to 0.6 of the largest strength.

    Source: Cubuk et al., RandAugment, arXiv:1909.13719, which found magnitude 9
    of 30 for ResNet-50 on ImageNet: 0.3, which is the mean strength here.
    """
    return _after_light(partial(_apply_in_turn, _geometry(0.6) + _colour(0.6), 2))


def make_aug_mix() -> PictureAugmentation:
    """Make AugMix: three chains of weak operations, averaged and blended with the picture.

    Each chain has one to three operations. Weights are drawn from a flat Dirichlet
    distribution, and the blend uniformly. As in the paper, which measures the
    robustness against changes of brightness, contrast, saturation and sharpness,
    these operations are left out. So are rotation, shear and shift if the picture has a mask or
    boxes, because there is no one mask of differently moved pictures.

    Source: Hendrycks et al., AugMix, arXiv:1912.02781; severity 3 of 10, mixture width 3.
    """
    return _after_light(partial(_mix_chains, _geometry(0.3), _tone(0.3)))


def _after_light(change: Change) -> PictureAugmentation:
    def run(scene: Scene, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        first, second = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        return change(LIGHT(scene, first), second)

    return PictureAugmentation(run)


def _geometry(strength: float) -> tuple[Change, ...]:
    """Make rotation by up to 30 degrees, and shear and shift by up to 0.3, times the strength."""
    share, degrees = 0.3 * strength, 30.0 * strength
    return (
        partial(_move, lambda draw: (_turn(math.radians(degrees) * draw), (0.0, 0.0))),
        partial(_move, lambda draw: ((1.0, share * draw, 0.0, 1.0), (0.0, 0.0))),
        partial(_move, lambda draw: ((1.0, 0.0, share * draw, 1.0), (0.0, 0.0))),
        partial(_move, lambda draw: ((1.0, 0.0, 0.0, 1.0), (0.0, share * draw))),
        partial(_move, lambda draw: ((1.0, 0.0, 0.0, 1.0), (share * draw, 0.0))),
    )


def _move(find_motion: Callable[..., Any], scene: Scene, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """Move a scene by what `find_motion` makes of a number from -1 to 1; see `move`."""
    return move(scene, *find_motion(tf.random.stateless_uniform((), seed, -1.0, 1.0)))


def _turn(angle: tf.Tensor) -> tuple[tf.Tensor, ...]:
    return tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle)


def _tone(strength: float) -> tuple[Change, ...]:
    """Make identity, auto-contrast, equalisation, posterisation and solarisation."""
    fewest_bits = 8 - round(4 * strength)
    return (
        _leave,
        Recoloured(SeededLayer(layers.AutoContrast(dtype="float32"))),
        Recoloured(SeededLayer(layers.Equalization(dtype="float32"))),
        Recoloured(SeededLayer(layers.RandomPosterization((fewest_bits, 8), dtype="float32"))),
        Recoloured(partial(_solarize, strength)),
    )


def _colour(strength: float) -> tuple[Change, ...]:
    """Make tone changes, brightness by up to half of white, and others by a factor 0.1 to 1.9."""
    made: Sequence[keras.Layer] = (
        layers.RandomBrightness(0.5 * strength, dtype="float32"),
        layers.RandomContrast(0.9 * strength, dtype="float32"),
        # Keras multiplies saturation by f / (1 - f), and sharpness by 2 f.
        layers.RandomSaturation((0.5 - 0.4 * strength, 0.5 + 0.15 * strength), dtype="float32"),
        layers.RandomSharpness((0.5 - 0.45 * strength, 0.5 + 0.45 * strength), dtype="float32"),
    )
    return _tone(strength) + tuple(Recoloured(SeededLayer(layer)) for layer in made)


def _leave(scene: Scene, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    return dict(scene)


def _solarize(strength: float, picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Invert values above a random threshold, which is near white for a low strength."""
    # Keras 3.15 ignores the lower bound of the threshold and draws from 0.
    threshold = tf.random.stateless_uniform((), seed, 256.0 * (1.0 - strength), 256.0)
    return tf.where(picture >= threshold, 255.0 - picture, picture)


def _apply_one(changes: Sequence[Change], scene: Scene, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    which, how = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    chosen = tf.random.stateless_uniform((), which, maxval=len(changes), dtype=tf.int32)
    changed: dict[str, tf.Tensor] = tf.switch_case(
        chosen, [partial(change, scene, how) for change in changes]
    )
    if PIXELS in changed:
        changed[PIXELS] = tf.clip_by_value(changed[PIXELS], 0.0, 255.0)
    return changed


def _apply_in_turn(
    changes: Sequence[Change], count: int | tf.Tensor, scene: Scene, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    # A loop instead of `count` copies, each of which would be traced with all operations.
    seeds = tf.random.experimental.stateless_split(seed, _MOST_OPERATIONS)[:count]
    changed: dict[str, tf.Tensor] = tf.foldl(
        lambda changed, own: _apply_one(changes, changed, own), seeds, initializer=dict(scene)
    )
    return changed


def _mix_chains(
    moving: Sequence[Change], others: Sequence[Change], scene: Scene, seed: tf.Tensor
) -> dict[str, tf.Tensor]:
    if PIXELS not in scene:
        return dict(scene)
    picture = scene[PIXELS]
    has_companions = any(name in scene for name in COMPANIONS)
    changes = others if has_companions else (*moving, *others)
    alone = {name: scene[name] for name in (PIXELS, EXTENT)}
    for_weights, for_blend, for_chains = tf.unstack(tf.random.experimental.stateless_split(seed, 3))

    def run(own: tf.Tensor) -> tf.Tensor:
        how_many, which = tf.unstack(tf.random.experimental.stateless_split(own, 2))
        count = tf.random.stateless_uniform(
            (), how_many, minval=1, maxval=_MOST_OPERATIONS + 1, dtype=tf.int32
        )
        return _apply_in_turn(changes, count, alone, which)[PIXELS]

    chains = tf.map_fn(
        run,
        tf.random.experimental.stateless_split(for_chains, _NUM_CHAINS),
        fn_output_signature=tf.TensorSpec(picture.shape, tf.float32),
    )
    # Normalised exponential variables follow a flat Dirichlet distribution.
    exponential = -tf.math.log1p(-tf.random.stateless_uniform((_NUM_CHAINS, 1, 1, 1), for_weights))
    weights = exponential / tf.reduce_sum(exponential)
    blend = tf.random.stateless_uniform((), for_blend)
    mixed = blend * picture + (1.0 - blend) * tf.reduce_sum(weights * chains, axis=0)
    return {**scene, PIXELS: mixed}
