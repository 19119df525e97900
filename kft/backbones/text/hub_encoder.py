"""Text encoders of TF Hub, with the SavedModel that makes their inputs of strings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kft.backbones.hub import HubLayer
from kft.backbones.hub_files import locate_module
from kft.backbones.partition import check_blocks
from kft.backbones.record import Backbone, Block
from kft.backbones.text.inputs import make_inputs
from kft.backbones.weights import digest_folder
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError, first_line
from kft.modalities.text.input_spec import PADDING, TextSpec
from kft.modalities.text.module_tokenizer import IDS, MASK, load_module_tokenizer

PREPROCESSOR = "preprocessor"
"""Option of `hub:HANDLE` by which it is a text encoder."""
_TYPES = "input_type_ids"
# TF Hub's outputs: a vector for each token, or for the whole text.
_OUTPUTS = ("sequence_output", "pooled_output", "default")


@keras.saving.register_keras_serializable(package="kft")
class HubTextLayer(HubLayer):
    """A text encoder of TF Hub as a layer; see `HubLayer`."""

    def call(  # type: ignore[override]
        self, token_ids: Any, padding_mask: Any = None, training: bool | None = None
    ) -> Any:
        """Compute vectors (batch, tokens, channels), or (batch, channels) if it has only these."""
        given = {IDS: token_ids, MASK: padding_mask, _TYPES: tf.zeros_like(token_ids)}
        outputs = self.call_module(given, training)
        if not isinstance(outputs, dict):
            return outputs
        return next(outputs[name] for name in _OUTPUTS if name in outputs)


def load(config: BackboneConfig, handle: str) -> Backbone:
    """Load the text encoder `hub:HANDLE` with the option `preprocessor`, another handle.

    The encoder takes `input_word_ids`, `input_mask` and `input_type_ids`, which the preprocessor
    makes of strings.

    Raises:
        BackboneError: One of them cannot be loaded or has other inputs, or further options are
            given.
    """
    unknown = sorted(set(config.options) - {PREPROCESSOR})
    if unknown:
        raise BackboneError(
            f"backbone.options of {config.name!r}: found {', '.join(unknown)}. Allowed for a text "
            f"encoder: {PREPROCESSOR}."
        )
    folder = str(locate_module(str(config.options[PREPROCESSOR])).resolve())
    tokenizer = load_module_tokenizer(folder)
    if config.input_size not in (None, tokenizer.length):
        raise BackboneError(
            f"backbone.input_size: {config.input_size}, but the preprocessor gives "
            f"{tokenizer.length} tokens."
        )
    path = Path(handle).expanduser()
    layer = HubTextLayer(str(path.resolve()) if path.exists() else handle, name="hub_module")
    given = make_inputs(tokenizer.length)
    try:
        output = layer(given["token_ids"], padding_mask=given["padding_mask"])
    except (ValueError, TypeError, KeyError, StopIteration, tf.errors.OpError) as error:
        raise BackboneError(
            f"{config.name!r} does not take {IDS}, {MASK} and {_TYPES} of {tokenizer.length} "
            f"tokens: {first_line(error)}"
        ) from error
    if len(output.shape) not in (2, 3):
        raise BackboneError(
            f"{config.name!r} outputs a tensor of shape {output.shape}; a text encoder outputs a "
            "vector for each token (batch, tokens, channels) or for each text (batch, channels)."
        )
    model = keras.Model(given, output, name="hub_text_backbone")
    blocks = tuple(Block(block.name, (block,)) for block in layer.hub_blocks)
    check_blocks(model, blocks)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=TextSpec(
            tokenizer="module",
            vocabulary=(PADDING,),
            unknown=PADDING,
            max_tokens=tokenizer.length,
            longest=tokenizer.length,
            module=folder,
            module_packages=tokenizer.packages,
        ),
        blocks=blocks,
        feature_levels=(),
        source=f"SavedModel {handle}, preprocessor {config.options[PREPROCESSOR]}",
        licence="unknown",
        sha256=digest_folder(layer.folder),
    )
