"""kft's small network over characters, for texts that no vocabulary fits."""

from __future__ import annotations

from typing import Any

import keras

from kft.backbones.record import Backbone
from kft.backbones.text.inputs import make_inputs, read_options
from kft.backbones.text.own import make_backbone, refuse_pretrained
from kft.config.schema import BackboneConfig
from kft.modalities.text.input_spec import PADDING, UNKNOWN, TextSpec

_OPTIONS = {"width": 64}
_BLOCKS = 4
_KERNEL = 5
# ASCII's printable characters; texts are reduced to them by dropping accents.
_CHARACTERS = tuple(map(chr, range(0x20, 0x7F)))


def load(config: BackboneConfig) -> Backbone:
    """Load `small_characters` with random weights or those of a file.

    Raises:
        BackboneError: Pretrained weights or an unknown option is requested.
    """
    refuse_pretrained(config)
    width = read_options(config, _OPTIONS)["width"]
    vocabulary = (PADDING, UNKNOWN, *_CHARACTERS)
    model, names = _build(len(vocabulary), config.input_size, width)
    spec = TextSpec(
        tokenizer="characters",
        vocabulary=vocabulary,
        max_tokens=config.input_size,
        lowercase=False,
        strip_accents=True,
    )
    return make_backbone(config, model, names, spec)


def _build(
    num_tokens: int, max_tokens: int | None, width: int
) -> tuple[keras.Model, dict[str, list[str]]]:
    """Residual convolutions of five characters, dilated by 1, 2, 4 and 8: 61 characters in view.

    Source: van den Oord et al., WaveNet, arXiv:1609.03499, for the dilation.
    """
    given = make_inputs(max_tokens)
    x = keras.layers.Embedding(num_tokens, width, name="character_embedding")(given["token_ids"])
    mask = keras.ops.expand_dims(keras.ops.cast(given["padding_mask"], x.dtype), -1)
    names = {"embeddings": ["character_embedding"]}
    for number in range(1, _BLOCKS + 1):
        block = names.setdefault(f"block{number}", [])
        x = _residual(x, mask, number, width, block)
    return keras.Model(given, x, name="small_characters"), names


def _residual(x: Any, mask: Any, number: int, width: int, names: list[str]) -> Any:
    """Normalise, convolve, and add to the input; padding stays zero for the next convolution."""
    names += [f"block{number}_{part}" for part in ("norm", "convolution", "add")]
    normalised = keras.layers.LayerNormalization(name=names[0])(x) * mask
    convolved = keras.layers.Conv1D(
        width,
        _KERNEL,
        padding="same",
        dilation_rate=2 ** (number - 1),
        activation="gelu",
        name=names[1],
    )(normalised)
    return keras.layers.Add(name=names[2])([x, convolved])
