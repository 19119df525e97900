"""Signatures of a served model, from files or decoded examples to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kft.data.batches.example_cache import to_inputs
from kft.modalities import Decoder
from kft.modalities.model_input import FRAME, PlacingDecoder
from kft.model import find_input_specs
from kft.serving.guard import Guard
from kft.tasks.compared_output import ComparedOutput
from kft.tasks.head import LOGITS, Head
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
        self.model = model
        self.head = head
        self.guard = guard
        self.decoder = frame_decoder(decoder, head)
        self._outputs = {LOGITS: model.output}
        if any(layer.name == FEATURE_VECTOR for layer in model.layers):
            self._outputs[FEATURE_VECTOR] = model.get_layer(FEATURE_VECTOR).output
        self._both = keras.Model(model.input, self._outputs)

    @property
    def compared_outputs(self) -> tuple[ComparedOutput, ...]:
        """Outputs that the parity check compares."""
        guarded = () if self.guard is None else self.guard.compared_outputs
        return (*self.head.compared_outputs, *guarded)

    def serve(
        self, computed: Mapping[str, tf.Tensor], frames: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Make the outputs of the export by name, in a graph.

        Args:
            computed: Outputs of `Head.activate` as `LOGITS`, and feature vectors, by name.
            frames: Where the examples are in their files, if the answers need it.
        """
        served = self.head.serve(computed[LOGITS], frames)
        if self.guard is None:
            return served
        names = self.head.class_names
        return served | self.guard.serve(computed[FEATURE_VECTOR], computed[LOGITS], names)

    def save(self, directory: Path) -> None:
        """Write the SavedModel.

        Raises:
            OSError: The folder cannot be written.
        """
        root = tf.Module(name="kft")
        # Only the variables are tracked. For a whole Keras model TensorFlow would also write each
        # layer's functions, which took two thirds of the time and of the file. TensorFlow refuses
        # signatures that use untracked variables, so none can be missing.
        root.tracked = [variable.value for variable in self.model.variables]
        root.of_decoder = list(getattr(self.decoder, "resources", ()))
        tf.saved_model.save(root, str(directory), signatures=self.signatures())

    def signatures(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Trace the signatures; functions by name of the signature."""
        encoded = {"encoded": tf.TensorSpec((None,), tf.string, name="encoded")}
        decoded = find_input_specs(self.model)
        # Traced once for all signatures that call them, so that the file holds them once, too.
        decode, compute = _trace(self._decode, encoded), _trace(self._compute, decoded)

        def read(encoded: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor | None]:
            inputs = dict(decode(encoded=encoded))
            frames = inputs.pop(FRAME, None)
            return compute(**inputs), frames

        def serve_files(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.serve(*read(encoded))

        signatures = {
            "serving_default": _trace(serve_files, encoded),
            next(iter(decoded)): _trace(lambda **inputs: self.serve(compute(**inputs)), decoded),
        }
        if FEATURE_VECTOR in self._outputs:
            signatures["features"] = _trace(
                lambda encoded: {FEATURE_VECTOR: read(encoded)[0][FEATURE_VECTOR]}, encoded
            )
        plain = self.head.plain_signature
        if plain is not None:
            signatures[plain] = _trace(lambda **inputs: {plain: compute(**inputs)[LOGITS]}, decoded)
        return signatures

    def _decode(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        decoded = tf.map_fn(self.decoder, encoded, fn_output_signature=self.decoder.output)
        return to_inputs(decoded)

    def _compute(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute feature vectors, and probabilities or standardised numbers, all float32."""
        outputs = self._both(inputs, training=False)
        outputs[LOGITS] = self.head.activate(outputs[LOGITS])
        return {name: tf.cast(each, tf.float32) for name, each in outputs.items()}


def frame_decoder(decoder: Decoder, head: Head) -> Decoder:
    """Make the decoder that tells where examples are in their files, if the answers need it."""
    if head.task.companion is None:
        return decoder
    assert isinstance(decoder, PlacingDecoder), "planning refuses other decoders"
    return decoder.with_frame()


def _trace(
    function: Callable[..., Any], given: Mapping[str, tf.TensorSpec]
) -> tf.types.experimental.ConcreteFunction:
    """Trace a function of keyword arguments, which become the inputs of the signature."""
    return tf.function(function, autograph=False).get_concrete_function(**given)
