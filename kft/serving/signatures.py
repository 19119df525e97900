"""Signatures of a served model, from files or decoded examples to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kft.data.batches.example_cache import to_inputs
from kft.modalities import Decoder
from kft.model import find_input_specs
from kft.serving.guard import Guard
from kft.tasks.head import Head
from kft.tasks.pooling import FEATURE_VECTOR


class ServedModel:
    """Signatures over one trained model.

    Each is a tf.function with named outputs. `serving_default` and
    `features` take the content of files (batch,); the signature with the name of
    the model's first input, such as `pixels`, takes decoded examples, one tensor
    (batch, …) for each input. Numbers
    are float64. LiteRT does not support float64, so a regression model also has
    `standardised`: from decoded examples to float32 numbers, standardised by the
    mean and standard deviation of the training targets.

    Args:
        model: Model from decoded examples to logits.
        head: Head that turns logits into probabilities or numbers.
        decoder: Decoder of one file, the same as in training.
        guard: Guard whose outputs stand beside those of the head; None for none.
    """

    def __init__(
        self, model: keras.Model, head: Head, decoder: Decoder, guard: Guard | None = None
    ) -> None:
        self._model = model
        self._guard = guard
        self._head = head
        self._decoder = decoder
        self._both = keras.Model(
            model.input, [model.get_layer(FEATURE_VECTOR).output, model.output]
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
        encoded = {"encoded": tf.TensorSpec((None,), tf.string, name="encoded")}
        decoded = find_input_specs(self._model)
        # Traced once for all signatures that call them, so that the file holds them once, too.
        decode, compute = _trace(self._decode, encoded), _trace(self._compute, decoded)
        signatures = {
            "serving_default": _trace(
                lambda encoded: self._serve(*compute(**decode(encoded=encoded))), encoded
            ),
            next(iter(decoded)): _trace(lambda **inputs: self._serve(*compute(**inputs)), decoded),
            "features": _trace(
                lambda encoded: {FEATURE_VECTOR: compute(**decode(encoded=encoded))[0]}, encoded
            ),
        }
        plain = self._head.plain_signature
        if plain is not None:
            signatures[plain] = _trace(lambda **inputs: {plain: compute(**inputs)[1]}, decoded)
        return signatures

    def _serve(self, features: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return serve(self._head, self._guard, features, outputs)

    def _decode(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        decoded = tf.map_fn(self._decoder, encoded, fn_output_signature=self._decoder.output)
        return to_inputs(decoded)

    def _compute(self, **inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute feature vectors, and float32 probabilities or standardised numbers."""
        features, logits = self._both(inputs, training=False)
        return tf.cast(features, tf.float32), tf.cast(self._head.activate(logits), tf.float32)


def serve(head: Head, guard: Guard | None, features: Any, outputs: Any) -> dict[str, Any]:
    """Make the outputs of an export by name.

    Args:
        head: Head of the model.
        guard: Guard of the export, if it has one.
        features: Feature vectors (batch, features).
        outputs: Outputs of `Head.activate` (batch, outputs).
    """
    served: dict[str, Any] = head.serve(outputs)
    if guard is not None:
        served |= guard.serve(features, outputs, head.class_names)
    return served


def _trace(
    function: Callable[..., Any], given: Mapping[str, tf.TensorSpec]
) -> tf.types.experimental.ConcreteFunction:
    """Trace a function of keyword arguments, which become the inputs of the signature."""
    return tf.function(function, autograph=False).get_concrete_function(**given)
