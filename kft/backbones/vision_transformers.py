"""Vision transformers of KerasHub: ViT and DINOv2, by preset or folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Block
from kft.errors import BackboneError

# The layers of DeiT return `None` beside their states, so Keras cannot build a graph of them.
_NAMES = ("ViTBackbone", "DINOV2Backbone")


def is_vision_transformer(trunk: Any) -> bool:
    """Whether a backbone of KerasHub is a vision transformer that kft knows."""
    return type(trunk).__name__ in _NAMES


def resizes(trunk: Any) -> bool:
    """Whether a vision transformer interpolates its position embeddings for other sizes."""
    return type(trunk).__name__ == "DINOV2Backbone"


def call_each_layer(trunk: Any, pixels: keras.KerasTensor) -> keras.KerasTensor:
    """Call a vision transformer layer by layer, so that each can be frozen, stored and read.

    Returns:
        One vector per token (batch, tokens, c); those of `count_prefix_tokens` come first.
    """
    embeddings, encoder, *norms = _with_weights(trunk.layers)
    states = embeddings(pixels)
    if hasattr(encoder, "dropout"):
        states = encoder.dropout(states)
    for layer in _transformer_layers(encoder):
        states = layer(states)
    # In DINOv2 the last normalization stands after the encoder, elsewhere inside.
    norm = norms[0] if norms else encoder.layer_norm
    return norm(states)


def count_prefix_tokens(trunk: Any) -> int:
    """Number of tokens before the patches: a class token, then registers, which no head reads.

    Raises:
        BackboneError: There is no class token.
    """
    if getattr(trunk, "use_class_token", True) is False:
        raise BackboneError(
            f"backbone.name: this {type(trunk).__name__} has no class token, which kft reads."
        )
    return 1 + getattr(trunk, "num_register_tokens", 0)


def find_blocks(model: keras.Model, trunk: Any) -> tuple[Block, ...]:
    """Blocks of a model from `call_each_layer`: embeddings, layer1 …, tail."""
    encoder = _with_weights(trunk.layers)[1]
    members = {id(layer) for layer in _transformer_layers(encoder)}
    names: dict[str, list[str]] = {}
    current = "embeddings"
    for layer in _with_weights(model.layers):
        if id(layer) in members:
            current = f"layer{len(names)}"
        elif current != "embeddings":
            current = "tail"
        names.setdefault(current, []).append(layer.name)
    return blocks_by_layer_names(model, names)


def _with_weights(layers: Sequence[Any]) -> list[Any]:
    return [layer for layer in layers if layer.weights]


def _transformer_layers(encoder: Any) -> Sequence[Any]:
    return encoder.encoder_layers if hasattr(encoder, "encoder_layers") else encoder.layers
