"""Random changes of training pictures, as a pure function of (seed, epoch, example)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from kft.registry import Registry

# (pixels (batch, height, width, 3), seeds int32 (batch, 2)) -> float32 pixels in [0, 255].
Augmentation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

AUGMENTATIONS = Registry(
    "augmentation",
    {
        "none": "kft.data.augmentation:make_no_augmentation",
        "light": "kft.data.augmentation:GeometricAugmentation",
    },
)


def make_augmentation(preset: str) -> Augmentation | None:
    """The augmentation of a preset, or None where it changes nothing.

    Build it outside `Dataset.map`: Keras layers create variables.

    Raises:
        ConfigError: The preset is unknown.
    """
    augmentation: Augmentation | None = AUGMENTATIONS.load(preset)()
    return augmentation


def make_no_augmentation() -> None:
    """Pictures as they are."""


@dataclass(frozen=True)
class GeometricAugmentation:
    """Horizontal flip of every other picture, shift and zoom; what lies outside is mirrored.

    Keras's RandomFlip, RandomTranslation and RandomZoom in one resampling: it
    blurs less and takes 0.9 ms of a core for a picture of 160 px, the three
    layers 2.2 ms.

    Attributes:
        shift: Largest shift down and across, as a share of height and width.
        zoom: Largest change of scale, as a share.
    """

    shift: float = 0.1
    zoom: float = 0.1

    def __call__(self, pixels: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Change each picture by its own seed.

        Args:
            pixels: uint8 or float32 (batch, height, width, 3).
            seeds: int32 (batch, 2).

        Returns:
            float32 of the same shape, in [0, 255].
        """
        draws = tf.map_fn(
            lambda seed: tf.random.stateless_uniform((4,), seed),
            seeds,
            fn_output_signature=tf.TensorSpec((4,), tf.float32),
        )
        flip, zoom, down, across = tf.unstack(draws, axis=1)
        scale_y = 1.0 + self.zoom * (2.0 * zoom - 1.0)
        scale_x = tf.where(flip < 0.5, -scale_y, scale_y)
        offset_y = self._offset(pixels.shape[1], scale_y, down)
        offset_x = self._offset(pixels.shape[2], scale_x, across)
        # Output (x, y) is taken from input (a0 x + a1 y + a2, b0 x + b1 y + b2); c0 = c1 = 0.
        zero = tf.zeros_like(flip)
        matrix = [scale_x, zero, offset_x, zero, scale_y, offset_y, zero, zero]
        changed = keras.ops.image.affine_transform(
            tf.cast(pixels, tf.float32),
            tf.stack(matrix, axis=1),
            interpolation="bilinear",
            fill_mode="reflect",
            data_format="channels_last",
        )
        return tf.ensure_shape(changed, pixels.shape)

    def _offset(self, size: int, scale: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        """Where the first pixel is taken from, when the centre stays but for the shift."""
        return (size - 1) / 2 * (1.0 - scale) + self.shift * size * (2.0 * draw - 1.0)


class LayerAugmentation:
    """Keras image preprocessing layers, drawing from one given seed per example.

    The layers' own generators hold a variable that every call moves on, so that
    a picture would depend on what was drawn before it. Here each draw of an
    example takes the next seed derived from the example's own.

    Args:
        layers: Applied in this order to pixels in [0, 255]. Give them
            `dtype="float32"`, or a mixed policy computes them in 16 bits. Not
            AugMix: it chooses by Python's `random`, once, when it is traced.
    """

    def __init__(self, layers: Sequence[keras.Layer]) -> None:
        self._layers = tuple(layers)
        self._draws = _ExampleDraws()
        for layer in self._layers:
            for part in layer._flatten_layers():
                if hasattr(part, "generator"):
                    part.generator = self._draws

    def __call__(self, pixels: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Change each picture by its own seed.

        Args:
            pixels: uint8 or float32 (batch, height, width, 3).
            seeds: int32 (batch, 2).

        Returns:
            float32 of the same shape, in [0, 255].
        """
        # One picture at a time, so that every layer is pure without knowing it. It costs nothing:
        # drawing alone by example, then transforming the batch, took as long (1.06 ms at 160 px).
        return tf.map_fn(
            lambda pair: self._change_one(*pair),
            (pixels, seeds),
            fn_output_signature=tf.TensorSpec(pixels.shape[1:], tf.float32),
            parallel_iterations=32,
        )

    def _change_one(self, picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        self._draws.start(seed)
        shape, picture = picture.shape, tf.cast(picture, tf.float32)
        for layer in self._layers:
            picture = layer(picture, training=True)
        return tf.ensure_shape(tf.clip_by_value(picture, 0.0, 255.0), shape)


class _ExampleDraws(keras.random.SeedGenerator):
    """The seeds of one example's draws: fold_in(example seed, number of the draw)."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self._seed: tf.Tensor | None = None
        self._num_draws = 0

    def start(self, seed: tf.Tensor) -> None:
        """Begin with the first draw of the example whose seed this is, int32 (2,)."""
        self._seed, self._num_draws = seed, 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """The seed of the next draw, int32 (2,)."""
        assert self._seed is not None, "an augmentation layer drew outside an example"
        self._num_draws += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._num_draws)
