"""TF Hub modules that read waveforms, such as YAMNet and VGGish."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kft.backbones.hub import HubLayer, make_backbone
from kft.backbones.record import Backbone
from kft.backbones.scopes import group_by_scope
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.audio.input_spec import AudioSpec

# The rate that all of them were trained at.
_RATE = 16_000


def reads_waveforms(layer: HubLayer) -> bool:
    """Whether a module takes the samples of one recording, float (samples,)."""
    given = [
        argument
        for concrete in layer.function.concrete_functions
        for argument in tf.nest.flatten(concrete.structured_input_signature)
        if isinstance(argument, tf.TensorSpec)
    ]
    return bool(given) and all(each.shape.rank == 1 and each.dtype.is_floating for each in given)


@keras.saving.register_keras_serializable(package="kft")
class WaveformHubLayer(HubLayer):
    """A module of waveforms as a layer: float (batch, samples) -> (batch, channels).

    The module takes one recording, and gives embeddings (frames, channels), which are averaged.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Compute the mean embedding of each of `inputs`."""
        embeddings = _choose_output(self.function.concrete_functions[0].structured_outputs)
        return tf.map_fn(
            lambda waveform: tf.reduce_mean(self._embed(waveform, training), axis=0),
            tf.cast(inputs, tf.float32),
            fn_output_signature=tf.TensorSpec(embeddings.shape[-1:], tf.float32),
        )

    def _embed(self, waveform: tf.Tensor, training: bool | None) -> tf.Tensor:
        return _choose_output(self.call_module(waveform, training))

    def group_variables(self, module: Any) -> list[tuple[str, list[Any]]]:
        """See `HubLayer`; without the variables of other outputs, such as YAMNet's classifier."""
        groups = group_by_scope(module, self.function)
        trainable = [each for _, group in groups for each in group if each.trainable]
        noise = tf.random.stateless_normal((_RATE,), (0, 0), stddev=0.1)
        with tf.GradientTape() as tape:
            # Squared, since gradients of a normalised mean may cancel out.
            value = tf.reduce_sum(self._embed(noise, training=False) ** 2)
        gradients = tape.gradient(value, trainable, unconnected_gradients="zero")
        unused = {
            id(each)
            for each, gradient in zip(trainable, gradients, strict=True)
            if not tf.reduce_any(tf.not_equal(gradient, 0.0))
        }
        used = {name: [each for each in group if id(each) not in unused] for name, group in groups}
        return [(name, group) for name, group in used.items() if group]


def _choose_output(outputs: Any) -> Any:
    """Choose the embeddings: the only output, or the second of YAMNet's three.

    YAMNet gives scores, embeddings and its spectrogram.
    """
    if isinstance(outputs, dict):
        outputs = tuple(outputs.values())
    if isinstance(outputs, (list, tuple)):
        return outputs[1] if len(outputs) == 3 else outputs[0]
    return outputs


def wrap(config: BackboneConfig, module: HubLayer) -> Backbone:
    """Make a backbone of a module that `reads_waveforms`.

    Raises:
        BackboneError: An input size or options are set, or the module is random at inference.

    Source: https://www.tensorflow.org/hub/common_saved_model_apis, and YAMNet's page there.
    """
    if config.input_size is not None or config.options:
        raise BackboneError(
            f"backbone.input_size, backbone.options: {config.name!r} takes recordings of any "
            "length, and no options. Remove the settings; `data.audio.seconds` sets the length."
        )
    layer = WaveformHubLayer(module.handle, like=module, name="hub_module")
    waveform = keras.Input((None,), name="waveform")
    model = keras.Model(waveform, layer(waveform), name="hub_backbone")
    return make_backbone(config, model, layer, AudioSpec(_RATE))
