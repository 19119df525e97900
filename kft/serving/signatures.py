"""The graph that is served: encoded bytes -> pixels -> probabilities."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from kft.heads.base import FEATURE_VECTOR, Head

Decoder = Callable[[tf.Tensor], tf.Tensor]


class ServedModel(tf.Module):
    """Signatures over one trained model.

    Each is a tf.function with named outputs. `serving_default` and
    `features` take encoded JPEG, PNG, GIF, BMP or WebP bytes (batch,); `pixels`
    takes float32 pixels (batch, height, width, 3) in [0, 255].

    Args:
        model: Pixels -> logits.
        head: Makes probabilities of logits.
        decoder: Encoded bytes of one picture -> pixels; the very function that fed training.
    """

    def __init__(self, model: keras.Model, head: Head, decoder: Decoder) -> None:
        super().__init__(name="kft")
        self._model = model
        self._head = head
        self._decoder = decoder
        self._features = keras.Model(
            model.inputs, [model.get_layer(FEATURE_VECTOR).output, *model.outputs]
        )
        # What a SavedModel tracks: the variables, by the objects that hold them.
        self.tracked = [variable.value for variable in model.variables]
        self._class_names = tf.constant(head.class_names)

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Name of the signature -> traced function."""
        encoded = tf.TensorSpec((None,), tf.string, name="encoded")
        pixels = tf.TensorSpec((None, *self._model.input_shape[1:]), tf.float32, name="pixels")
        functions = {
            "serving_default": (self._from_bytes, encoded),
            "pixels": (self._from_pixels, pixels),
            "features": (self._to_features, encoded),
        }
        return {
            name: tf.function(function, autograph=False).get_concrete_function(spec)
            for name, (function, spec) in functions.items()
        }

    def _from_bytes(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._from_pixels(self._decode(encoded))

    def _decode(self, encoded: tf.Tensor) -> tf.Tensor:
        height, width, channels = self._model.input_shape[1:]
        pixels = tf.map_fn(
            self._decoder,
            encoded,
            fn_output_signature=tf.TensorSpec((height, width, channels), tf.uint8),
        )
        return tf.cast(pixels, tf.float32)

    def _from_pixels(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self._model(pixels, training=False)
        outputs = tf.cast(self._head.activate(logits), tf.float32)
        batch = tf.shape(outputs)[0]
        names = tf.tile(self._class_names[tf.newaxis], [batch, 1])
        if self._head.target_kind == "number":
            return {"numbers": outputs, "names": names}
        answers = {"probabilities": outputs, "class_names": names}
        if self._head.target_kind == "class":
            answers["top_class"] = tf.gather(self._class_names, tf.argmax(outputs, axis=-1))
        return answers

    def _to_features(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        features, _ = self._features(self._decode(encoded), training=False)
        return {"feature_vector": tf.cast(features, tf.float32)}
