"""Backbones from keras.applications."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras

from kft.backbones.architecture import Architecture
from kft.backbones.families import ARCHITECTURES
from kft.backbones.official import check_options, check_size, official_files
from kft.backbones.partition import feature_levels, partition
from kft.backbones.record import Backbone
from kft.backbones.weights import load_file, load_given, obtain_official
from kft.config.schema import BackboneConfig
from kft.modalities.image.input_spec import ImageSpec

# Deviation of ImageNet's RGB in [0, 1]; see `_rescale_after_normalization`.
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def load(config: BackboneConfig) -> Backbone:
    """The backbone of keras.applications that `config.name` names.

    Raises:
        BackboneError: An option, the size or the weights are not possible.
    """
    architecture = ARCHITECTURES[config.name]
    check_options(architecture, config.options)
    size = check_size(architecture, config.input_size)
    path: Path | None = None
    if config.weights == "imagenet":
        # Found before the model is built, so that a missing file is told at once.
        path = obtain_official(official_files(architecture, config.options, size))
    elif config.weights != "random":
        path = Path(config.weights).expanduser()
    model = build(architecture, size, config.options)
    sha256 = None
    if config.weights == "imagenet" and path is not None:
        sha256 = load_file(model, path)
    elif path is not None:
        sha256 = load_given(model, path, trust=config.trust)
    blocks = partition(model, architecture.boundaries)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=ImageSpec(size, size, 3, architecture.scaling),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=f"keras.applications.{architecture.constructor}, "
        + (path.name if path else "random weights"),
        licence=_licence(architecture, config),
        sha256=sha256,
    )


def build(architecture: Architecture, size: int, options: dict[str, Any]) -> keras.Model:
    """The model without top or pooling, with random weights.

    Args:
        architecture: What to build.
        size: Height and width of the input in pixels.
        options: Arguments of the architecture, already checked.
    """
    constructor = getattr(keras.applications, architecture.constructor)
    model = constructor(weights=None, include_top=False, input_shape=(size, size, 3), **options)
    if architecture.rescale_after_normalization:
        model = _rescale_after_normalization(model)
    return model


def _rescale_after_normalization(model: keras.Model) -> keras.Model:
    """The graph that EfficientNet's ImageNet weights were trained in.

    Its normalization divides by the square root of what is stored, so the pretrained graph
    divides by that root once more. Keras adds this layer only while it loads the ImageNet
    weights itself; without it the loaded weights see inputs of half the contrast.

    Source: https://github.com/tensorflow/tensorflow/issues/49930.
    """
    scale = [1.0 / math.sqrt(deviation) for deviation in _IMAGENET_DEVIATION]

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        if isinstance(layer, keras.layers.Normalization):
            outputs = keras.layers.Rescaling(scale, name="rescaling_after_normalization")(outputs)
        return outputs

    return keras.models.clone_model(model, call_function=call, clone_function=_copy)


def _copy(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A layer of the same configuration, with weights of its own."""
    return layer.__class__.from_config(layer.get_config())


def _licence(architecture: Architecture, config: BackboneConfig) -> str:
    """The licence of the weights in use."""
    if config.weights == "imagenet":
        return architecture.licence
    return "Apache-2.0" if config.weights == "random" else "unknown"
