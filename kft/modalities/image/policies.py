"""Augmentation with operations drawn from a list: TrivialAugment, RandAugment, AugMix.

The operations are Keras layers with a uniformly drawn strength. Keras's own
RandAugment computes all operations for each one that it draws (20 ms per
picture of 160 px); here only the drawn one is computed. As in the papers,
pictures are mirrored and shifted first, as in `light`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import keras
import tensorflow as tf
from keras import layers

from kft.modalities.image.augmentation import Change, PictureAugmentation, SeededLayer
from kft.modalities.image.jitter import LIGHT

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
    these operations are left out.

    Source: Hendrycks et al., AugMix, arXiv:1912.02781; severity 3 of 10, mixture width 3.
    """
    return _after_light(partial(_mix_chains, _geometry(0.3) + _tone(0.3)))


def _after_light(change: Change) -> PictureAugmentation:
    def run(picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        first, second = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        return change(LIGHT(picture, first), second)

    return PictureAugmentation(run)


def _geometry(strength: float) -> tuple[Change, ...]:
    """Make rotation by up to 30 degrees, and shear and shift by up to 0.3, times the strength."""
    share = 0.3 * strength
    return tuple(
        SeededLayer(layer(fill_mode="reflect", dtype="float32"))
        for layer in (
            partial(layers.RandomRotation, strength * 30 / 360),
            partial(layers.RandomShear, x_factor=share, y_factor=0.0),
            partial(layers.RandomShear, x_factor=0.0, y_factor=share),
            partial(layers.RandomTranslation, 0.0, share),
            partial(layers.RandomTranslation, share, 0.0),
        )
    )


def _tone(strength: float) -> tuple[Change, ...]:
    """Make identity, auto-contrast, equalisation, posterisation and solarisation."""
    fewest_bits = 8 - round(4 * strength)
    return (
        _leave,
        SeededLayer(layers.AutoContrast(dtype="float32")),
        SeededLayer(layers.Equalization(dtype="float32")),
        SeededLayer(layers.RandomPosterization((fewest_bits, 8), dtype="float32")),
        partial(_solarize, strength),
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
    return _tone(strength) + tuple(SeededLayer(layer) for layer in made)


def _leave(picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return picture


def _solarize(strength: float, picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Invert values above a random threshold, which is near white for a low strength."""
    # Keras 3.15 ignores the lower bound of the threshold and draws from 0.
    threshold = tf.random.stateless_uniform((), seed, 256.0 * (1.0 - strength), 256.0)
    return tf.where(picture >= threshold, 255.0 - picture, picture)


def _apply_one(changes: Sequence[Change], picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    which, how = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    chosen = tf.random.stateless_uniform((), which, maxval=len(changes), dtype=tf.int32)
    return tf.switch_case(chosen, [partial(change, picture, how) for change in changes])


def _apply_in_turn(
    changes: Sequence[Change], count: int | tf.Tensor, picture: tf.Tensor, seed: tf.Tensor
) -> tf.Tensor:
    # A loop instead of `count` copies, each of which would be traced with all operations.
    seeds = tf.random.experimental.stateless_split(seed, _MOST_OPERATIONS)[:count]
    return tf.foldl(
        lambda changed, own: tf.clip_by_value(_apply_one(changes, changed, own), 0.0, 255.0),
        seeds,
        initializer=picture,
    )


def _mix_chains(changes: Sequence[Change], picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    for_weights, for_blend, for_chains = tf.unstack(tf.random.experimental.stateless_split(seed, 3))

    def run(own: tf.Tensor) -> tf.Tensor:
        how_many, which = tf.unstack(tf.random.experimental.stateless_split(own, 2))
        count = tf.random.stateless_uniform(
            (), how_many, minval=1, maxval=_MOST_OPERATIONS + 1, dtype=tf.int32
        )
        return _apply_in_turn(changes, count, picture, which)

    chains = tf.map_fn(
        run,
        tf.random.experimental.stateless_split(for_chains, _NUM_CHAINS),
        fn_output_signature=tf.TensorSpec(picture.shape, tf.float32),
    )
    # Normalised exponential variables follow a flat Dirichlet distribution.
    exponential = -tf.math.log1p(-tf.random.stateless_uniform((_NUM_CHAINS, 1, 1, 1), for_weights))
    weights = exponential / tf.reduce_sum(exponential)
    blend = tf.random.stateless_uniform((), for_blend)
    return blend * picture + (1.0 - blend) * tf.reduce_sum(weights * chains, axis=0)
