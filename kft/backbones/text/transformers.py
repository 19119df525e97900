"""Transformers for text from KerasHub: BERT and its kin, by preset or folder."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import keras

from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.presets import digest_preset, from_preset
from kft.backbones.record import Backbone
from kft.backbones.text.inputs import make_inputs
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.text.input_spec import END, PADDING, START, UNKNOWN, TextSpec

# `transformer_layer_3`, `disentangled_attention_encoder_layer_3`, `decoder_block_3`; ALBERT's
# `group_0_inner_layer_0` is called once for every layer.
_LAYER = re.compile(r".*(layer|block)_(\d+)")
_UNKNOWN = ("<unk>", UNKNOWN)


def is_for_text(trunk: Any) -> bool:
    """Whether a backbone of KerasHub reads tokens alone."""
    names = {given.name for given in trunk.inputs}
    return "token_ids" in names and names <= {"token_ids", "padding_mask", "segment_ids"}


def wrap(config: BackboneConfig, trunk: Any, preset: str) -> Backbone:
    """Make a backbone of a transformer that KerasHub has loaded, with its tokenizer.

    Args:
        config: The `backbone` section.
        trunk: Backbone of KerasHub.
        preset: Its preset: a name, a handle, or a folder of KerasHub or Hugging Face.

    Raises:
        BackboneError: It has no tokenizer that kft's graphs can hold, too few positions, or
            outputs other than one vector per token.
    """
    import keras_hub

    longest = getattr(trunk, "max_sequence_length", None)
    if config.input_size is not None and longest is not None and config.input_size > longest:
        raise BackboneError(
            f"backbone.input_size: {config.input_size} tokens, but {preset} has positions for "
            f"{longest}."
        )
    model = _build(trunk, config.input_size)
    blocks = blocks_by_layer_names(model, name_blocks(model))
    tokenizer = from_preset(keras_hub.tokenizers.Tokenizer, preset)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=_read_spec(tokenizer, preset, config.input_size, longest),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=f"KerasHub {keras_hub.__version__}, preset {preset}",
        licence="unknown",
        sha256=None if config.weights == "random" else digest_preset(preset, model),
    )


def _build(trunk: Any, max_tokens: int | None) -> keras.Model:
    """A flat model from token ids and padding mask to one vector per token."""
    given = make_inputs(max_tokens)
    taken = dict(given, segment_ids=keras.ops.zeros_like(given["token_ids"]))
    # `call` instead of the model itself adds the layers to this graph one by one.
    outputs = trunk.call({given.name: taken[given.name] for given in trunk.inputs})
    states = outputs["sequence_output"] if isinstance(outputs, dict) else outputs
    if isinstance(states, (list, tuple)) or len(states.shape) != 3:
        raise BackboneError(
            f"KerasHub's {type(trunk).__name__} outputs {outputs}; kft needs one vector per token "
            "(batch, tokens, channels)."
        )
    return keras.Model(given, states, name="keras_hub_text")


def name_blocks(
    model: keras.Model, layers: re.Pattern[str] = _LAYER, first: str = "embeddings"
) -> dict[str, list[str]]:
    """Layer names of the blocks: the first, layer1 …, and a tail if weights follow the last.

    Args:
        model: A flat transformer.
        layers: Names of its transformer layers.
        first: Name of the block before them.
    """
    blocks: dict[str, list[str]] = {first: []}
    current = first
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if layers.fullmatch(layer.name):
            current = f"layer{len(blocks)}"
        elif current != first and layer.weights:
            current = "tail"
        blocks.setdefault(current, []).append(layer.name)
    return blocks


def _read_spec(
    tokenizer: Any, preset: str, max_tokens: int | None, longest: int | None
) -> TextSpec:
    """The input contract, by the preset's tokenizer.

    Raises:
        BackboneError: It is neither WordPiece, nor byte pairs, nor SentencePiece.
    """
    import keras_hub

    if isinstance(tokenizer, keras_hub.tokenizers.BytePairTokenizer):
        return _read_byte_pairs(tokenizer, max_tokens, longest)
    if isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer):
        return _read_sentencepiece(tokenizer, max_tokens, longest)
    if not isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
        raise BackboneError(
            f"backbone.name: {preset} needs a {type(tokenizer).__name__}. kft has WordPiece, byte "
            "pairs and SentencePiece in its graphs: choose a preset such as BERT, DistilBERT, "
            "ELECTRA, RoBERTa, GPT-2, ALBERT or DeBERTa."
        )
    vocabulary = tuple(tokenizer.get_vocabulary())
    missing = [name for name in (PADDING, UNKNOWN, START, END) if name not in vocabulary]
    if missing:
        raise BackboneError(f"{preset}: its vocabulary lacks {', '.join(missing)}.")
    stated = _read_tokenizer_config(Path(preset).expanduser())
    if stated.get("tokenize_chinese_chars") is False:
        raise BackboneError(
            f"{preset}/tokenizer_config.json: tokenize_chinese_chars is false, but kft splits "
            "ideographs as BERT does."
        )
    strips_accents = stated.get("strip_accents")
    return TextSpec(
        tokenizer="wordpiece",
        vocabulary=vocabulary,
        max_tokens=max_tokens,
        longest=longest,
        lowercase=tokenizer.lowercase,
        # As BERT was pretrained; KerasHub's own tokenizer keeps accents.
        strip_accents=tokenizer.lowercase if strips_accents is None else strips_accents,
        start=START,
        end=END,
    )


def _read_byte_pairs(tokenizer: Any, max_tokens: int | None, longest: int | None) -> TextSpec:
    """The input contract of GPT-2 and RoBERTa; GPT-2 was pretrained without special tokens."""
    ids = tokenizer.vocabulary
    padding = getattr(tokenizer, "pad_token", None)
    start, end = tokenizer.start_token, tokenizer.end_token
    return TextSpec(
        tokenizer="byte_pairs",
        vocabulary=tuple(sorted(ids, key=ids.get)),
        max_tokens=max_tokens,
        longest=longest,
        lowercase=False,
        strip_accents=False,
        padding=padding or end,
        # Every byte is known; this stands for an empty text.
        unknown=end,
        start=start if padding else "",
        end=end if padding else "",
        merges=tuple(tokenizer.merges),
    )


def _read_sentencepiece(tokenizer: Any, max_tokens: int | None, longest: int | None) -> TextSpec:
    """The input contract of ALBERT, DeBERTa, XLM-RoBERTa and others."""
    vocabulary = tuple(tokenizer.get_vocabulary())
    start, end = (getattr(tokenizer, f"{name}_token", None) or "" for name in ("start", "end"))
    padding = getattr(tokenizer, "pad_token", None) or end
    # SentencePiece itself has an id for what it does not know; this stands for an empty text.
    unknown = next((name for name in _UNKNOWN if name in vocabulary), padding)
    return TextSpec(
        tokenizer="sentencepiece",
        vocabulary=vocabulary,
        max_tokens=max_tokens,
        longest=longest,
        lowercase=False,
        strip_accents=False,
        padding=padding,
        unknown=unknown,
        start=start,
        end=end,
        library=type(tokenizer).__name__,
        proto=base64.b64encode(tokenizer.proto).decode(),
    )


def _read_tokenizer_config(folder: Path) -> dict[str, Any]:
    """`tokenizer_config.json` of a Hugging Face folder; empty where there is none."""
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return {}
    # KerasHub has read it before.
    return json.loads(path.read_text(encoding="utf-8"))
