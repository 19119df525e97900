"""kft's small transformer and LSTM over words, which need no vocabulary."""

from __future__ import annotations

from typing import Any

import keras

from kft.backbones.record import Backbone
from kft.backbones.text.inputs import make_inputs, read_options
from kft.backbones.text.own import make_backbone, refuse_pretrained
from kft.backbones.text.positions import WavePositions
from kft.config.schema import BackboneConfig
from kft.modalities.text.input_spec import PADDING, UNKNOWN, TextSpec

Names = dict[str, list[str]]
# Words are numbered by hash: no vocabulary has to be known, and two of them may share a number. Of
# 20,000, 28 % of the 13,823 words of sst2 share theirs with a more frequent one: 5 % of its text.
_SHARED = {"width": 128, "layers": 2, "buckets": 20_000}
_OF_TRANSFORMER = {**_SHARED, "heads": 4}


def load_transformer(config: BackboneConfig) -> Backbone:
    """Load `small_transformer`: every word sees all others.

    Raises:
        BackboneError: Pretrained weights or an unknown option is requested.

    Source: Vaswani et al., Attention Is All You Need, arXiv:1706.03762; normalisation before each
    part, as Xiong et al., arXiv:2002.04745, so that it trains without a long warmup.
    """
    refuse_pretrained(config)
    options = read_options(config, _OF_TRANSFORMER)
    given = make_inputs(config.input_size)
    x, names = _embed(given, options)
    x = WavePositions(name="positions")(x)
    names["embeddings"].append("positions")
    for number in range(1, options["layers"] + 1):
        x = _attend(
            x, given["padding_mask"], options, names.setdefault(f"layer{number}", []), number
        )
    names["tail"] = ["last_norm"]
    x = keras.layers.LayerNormalization(name="last_norm")(x)
    model = keras.Model(given, x, name="small_transformer")
    return make_backbone(config, model, names, _make_spec(config, options))


def load_lstm(config: BackboneConfig) -> Backbone:
    """Load `small_lstm`: every word sees those before it.

    Raises:
        BackboneError: Pretrained weights or an unknown option is requested.

    Source: Howard and Ruder, ULMFiT, arXiv:1801.06146, for LSTMs that learn to name the next word.
    """
    refuse_pretrained(config)
    options = read_options(config, _SHARED)
    given = make_inputs(config.input_size)
    x, names = _embed(given, options)
    is_token = keras.ops.cast(given["padding_mask"], "bool")
    for number in range(1, options["layers"] + 1):
        names[f"layer{number}"] = [f"lstm{number}"]
        lstm = keras.layers.LSTM(options["width"], return_sequences=True, name=f"lstm{number}")
        x = lstm(x, mask=is_token)
    model = keras.Model(given, x, name="small_lstm")
    return make_backbone(config, model, names, _make_spec(config, options))


def _make_spec(config: BackboneConfig, options: dict[str, Any]) -> TextSpec:
    return TextSpec(
        tokenizer="hashed_words",
        vocabulary=(PADDING, UNKNOWN),
        buckets=options["buckets"],
        max_tokens=config.input_size,
    )


def _embed(given: dict[str, Any], options: dict[str, Any]) -> tuple[Any, Names]:
    num_tokens = 2 + options["buckets"]
    embedding = keras.layers.Embedding(num_tokens, options["width"], name="word_embedding")
    return embedding(given["token_ids"]), {"embeddings": ["word_embedding"]}


def _attend(
    x: Any, padding_mask: Any, options: dict[str, Any], names: list[str], number: int
) -> Any:
    """Attention, then two dense layers, each normalised before and added to its input."""
    parts = ("norm", "attention", "add", "dense_norm", "widen", "narrow", "dense_add")
    names += [f"layer{number}_{part}" for part in parts]
    layers, width, heads = keras.layers, options["width"], options["heads"]
    normalised = layers.LayerNormalization(name=names[0])(x)
    attention = layers.MultiHeadAttention(heads, max(width // heads, 1), name=names[1])
    # Given as it is: a mask of attention made of it here would cross every cut in its place.
    attended = attention(normalised, normalised, value_mask=padding_mask)
    x = layers.Add(name=names[2])([x, attended])
    wide = layers.Dense(4 * width, activation="gelu", name=names[4])(
        layers.LayerNormalization(name=names[3])(x)
    )
    return layers.Add(name=names[6])([x, layers.Dense(width, name=names[5])(wide)])
