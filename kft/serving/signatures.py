"""Signatures of a served model, from encoded bytes or pixels to probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kft.tasks.head import Head
from kft.tasks.pooling import FEATURE_VECTOR

Decoder = Callable[[tf.Tensor], tf.Tensor]


class ServedModel:
    """Signatures over one trained model.

    Each is a tf.function with named outputs. `serving_default` and
    `features` take encoded JPEG, PNG, GIF, BMP or WebP bytes (batch,); `pixels`
    takes float32 pixels (batch, height, width, 3) in [0, 255]. Numbers are
    float64. LiteRT does not support float64, so a regression model also has
    `standardised`: from pixels to float32 numbers, standardised by the mean and
    standard deviation of the training targets.

    Args:
        model: Model from pixels to logits.
        head: Head that turns logits into probabilities or numbers.
        decoder: Function from a picture's encoded bytes to pixels, the same as in training.
    """

    def __init__(self, model: keras.Model, head: Head, decoder: Decoder) -> None:
        self._model = model
        self._head = head
        self._decoder = decoder
        self._both = keras.Model(
            model.inputs, [model.get_layer(FEATURE_VECTOR).output, *model.outputs]
        )

    def save(self, directory: Path) -> None:
        """Write the SavedModel.

        Raises:
            OSError: The folder cannot be written.
        """
        root = tf.Module(name="kft")
        # Only the variables are tracked. For a whole Keras model TensorFlow would also write each
        # layer's functions, which took two thirds of the time and of the file. TensorFlow refuses
        # signatures that use untracked variables, so none can be missing.
        root.tracked = [variable.value for variable in self._model.variables]
        tf.saved_model.save(root, str(directory), signatures=self.signatures())

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Trace the signatures; functions by name of the signature."""
        encoded = tf.TensorSpec((None,), tf.string, name="encoded")
        pixels = tf.TensorSpec((None, *self._model.input_shape[1:]), tf.float32, name="pixels")
        # Traced once for all signatures that call them, so that the file holds them once, too.
        decode, compute = _trace(self._decode, encoded), _trace(self._compute, pixels)
        signatures = {
            "serving_default": _trace(
                lambda given: self._head.serve(compute(decode(given))[1]), encoded
            ),
            "pixels": _trace(lambda given: self._head.serve(compute(given)[1]), pixels),
            "features": _trace(
                lambda given: {"feature_vector": compute(decode(given))[0]}, encoded
            ),
        }
        plain = self._head.plain_signature
        if plain is not None:
            signatures[plain] = _trace(lambda given: {plain: compute(given)[1]}, pixels)
        return signatures

    def _decode(self, encoded: tf.Tensor) -> tf.Tensor:
        height, width, channels = self._model.input_shape[1:]
        pixels = tf.map_fn(
            self._decoder,
            encoded,
            fn_output_signature=tf.TensorSpec((height, width, channels), tf.uint8),
        )
        return tf.cast(pixels, tf.float32)

    def _compute(self, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute feature vectors, and float32 probabilities or standardised numbers."""
        features, logits = self._both(pixels, training=False)
        return tf.cast(features, tf.float32), tf.cast(self._head.activate(logits), tf.float32)


def _trace(
    function: Callable[[tf.Tensor], Any], given: tf.TensorSpec
) -> tf.types.experimental.ConcreteFunction:
    return tf.function(function, autograph=False).get_concrete_function(given)
