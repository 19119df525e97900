"""Text backbones of kft that start from random weights: their weights, and the record."""

from __future__ import annotations

from pathlib import Path

import keras

from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Backbone
from kft.backbones.weights import load_given
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.errors import BackboneError
from kft.modalities.text.input_spec import TextSpec


def refuse_pretrained(config: BackboneConfig) -> None:
    """Refuse the default `backbone.weights`, which means pretrained weights.

    Raises:
        BackboneError: There are none.
    """
    if config.weights == PRETRAINED:
        raise BackboneError(
            f"backbone.weights: {config.name} has no pretrained weights. Set "
            "`backbone.weights=random`, or the path of a weights file. `kft pretrain TEXTS` trains "
            "it on texts without labels."
        )


def make_backbone(
    config: BackboneConfig, model: keras.Model, names: dict[str, list[str]], spec: TextSpec
) -> Backbone:
    """Make a backbone of a model with random weights, or with those of a file.

    Args:
        config: The `backbone` section.
        model: Model from token ids and padding mask to one vector per token.
        names: Layer names of each block, shallow to deep.
        spec: Its input.

    Raises:
        BackboneError: The weights file does not fit.
    """
    sha256, source = None, f"kft {config.name}, random weights"
    if config.weights != "random":
        path = Path(config.weights).expanduser()
        sha256 = load_given(model, path, trust=config.trust)
        source = f"kft {config.name}, {path.name}"
    blocks = blocks_by_layer_names(model, names)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=spec,
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=source,
        licence="Apache-2.0" if sha256 is None else "unknown",
        sha256=sha256,
    )
