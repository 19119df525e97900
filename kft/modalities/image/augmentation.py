"""Random changes of training pictures, as pure functions of seed, epoch and example."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import tensorflow as tf

from kft.modalities.image.input_spec import PIXELS

# (float32 picture (height, width, 3), seed int32 (2,)) -> changed picture of the same shape.
Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class PictureAugmentation:
    """Change that is applied to each picture of a batch separately.

    Changes therefore need not handle batches, and of several alternatives only
    the chosen one is computed.

    Attributes:
        change: Change of one picture.
    """

    change: Change

    def __call__(self, examples: Mapping[str, tf.Tensor], seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Change each picture by its own seed.

        Args:
            examples: Mapping with pixels, uint8 or float32 (batch, height, width, 3).
            seeds: Seeds, int32 (batch, 2).

        Returns:
            Mapping with pixels of the same shape, float32 in [0, 255].
        """
        pixels = examples[PIXELS]
        changed = tf.map_fn(
            lambda pair: self._change_one(*pair),
            (pixels, seeds),
            fn_output_signature=tf.TensorSpec(pixels.shape[1:], tf.float32),
            parallel_iterations=32,
        )
        return {**examples, PIXELS: changed}

    def _change_one(self, picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        changed = self.change(tf.cast(picture, tf.float32), seed)
        return tf.ensure_shape(tf.clip_by_value(changed, 0.0, 255.0), picture.shape)


class SeededLayer:
    """Keras image preprocessing layer as a change that draws from the given seed.

    The layer's own generator holds a variable that advances with each call, so
    a picture would depend on earlier draws. Here each draw uses the next seed
    derived from the picture's seed.

    Args:
        layer: Layer that takes pixels in [0, 255]. Set `dtype="float32"`, or a
            mixed policy computes it in 16 bits. AugMix does not work: it chooses
            with Python's `random`, once, when it is traced.
    """

    def __init__(self, layer: keras.Layer) -> None:
        self._layer = layer
        self._draws = _Draws()
        for part in layer._flatten_layers():
            if hasattr(part, "generator"):
                part.generator = self._draws

    def __call__(self, picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Change a picture: float32 (height, width, 3)."""
        self._draws.start(seed)
        return tf.ensure_shape(self._layer(picture, training=True), picture.shape)


class _Draws(keras.random.SeedGenerator):
    """Seeds of the draws of one picture: fold_in(seed of the picture, index of the draw)."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self._seed: tf.Tensor | None = None
        self._num_draws = 0

    def start(self, seed: tf.Tensor) -> None:
        """Start the draws of a picture with this seed, int32 (2,)."""
        self._seed, self._num_draws = seed, 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Return the seed of the next draw, int32 (2,)."""
        assert self._seed is not None, "an augmentation layer drew outside a picture"
        self._num_draws += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._num_draws)
