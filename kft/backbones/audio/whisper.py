"""The encoder of Whisper, from a preset of KerasHub."""

from __future__ import annotations

import re
from typing import Any

import keras

from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.presets import digest_preset
from kft.backbones.record import Backbone
from kft.backbones.text.transformers import name_blocks
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.audio.input_spec import AudioSpec

_RATE = 16_000
# Samples of a frame of the spectrogram.
_HOP = 160
_LAYER = re.compile(r"transformer_encoder_layer_\d+")


def is_whisper(trunk: Any) -> bool:
    """Whether a backbone of KerasHub reads Whisper's spectrograms."""
    return "encoder_features" in {given.name for given in trunk.inputs}


def wrap(config: BackboneConfig, trunk: Any, preset: str) -> Backbone:
    """Make a backbone of the encoder of a Whisper that KerasHub has loaded.

    The encoder was trained on recordings padded to 30 s. Here it reads their own length, so that a
    word takes a fraction of that time; the decoder, which writes text, is left out.

    Args:
        config: The `backbone` section.
        trunk: `WhisperBackbone` of KerasHub.
        preset: Its preset: a name, a handle, or a folder.

    Raises:
        BackboneError: An input size is set.
    """
    import keras_hub

    if config.input_size is not None:
        raise BackboneError(
            f"backbone.input_size: {config.name} takes recordings of any length up to 30 s. Remove "
            "the setting; `data.audio.seconds` sets the length."
        )
    model = keras.Model(
        trunk.input["encoder_features"],
        trunk.output["encoder_sequence_output"],
        name="whisper_encoder",
    )
    blocks = blocks_by_layer_names(model, name_blocks(model, _LAYER, "stem"))
    return Backbone(
        name=config.name,
        model=model,
        input_spec=AudioSpec(
            _RATE,
            front_end="whisper",
            bands=trunk.num_mels,
            longest=trunk.max_encoder_sequence_length * _HOP,
        ),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=f"KerasHub {keras_hub.__version__}, encoder of preset {preset}",
        licence="unknown",
        sha256=None if config.weights == "random" else digest_preset(preset, model),
    )
