"""Backbones from keras.applications."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras

from kft.backbones.architecture import Architecture
from kft.backbones.crossings import feature_levels
from kft.backbones.families import ARCHITECTURES
from kft.backbones.official import check_options, check_size, official_files
from kft.backbones.partition import partition
from kft.backbones.record import Backbone
from kft.backbones.weights import load_file, load_given, obtain_official
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.modalities.image.input_spec import ImageSpec

# Standard deviation of ImageNet's RGB in [0, 1]; see `_rescale_after_normalization`.
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def load(config: BackboneConfig) -> Backbone:
    """Load the backbone `config.name` of keras.applications.

    Raises:
        BackboneError: An option, the size or the weights are not allowed.
    """
    architecture = ARCHITECTURES[config.name]
    check_options(architecture, config.options)
    size = check_size(architecture, config.input_size)
    path: Path | None = None
    if config.weights == PRETRAINED:
        # Searched before the model is built, so that a missing file is reported at once.
        path = obtain_official(official_files(architecture, config.options, size))
    elif config.weights != "random":
        path = Path(config.weights).expanduser()
    model = build(architecture, size, config.options)
    sha256 = None
    if config.weights == PRETRAINED and path is not None:
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
    """Build the model with random weights, without top and pooling.

    Args:
        architecture: The architecture to build.
        size: Height and width of the input in pixels.
        options: Arguments of the architecture, already checked.
    """
    constructor = getattr(keras.applications, architecture.constructor)
    model = constructor(weights=None, include_top=False, input_shape=(size, size, 3), **options)
    if architecture.rescale_after_normalization:
        model = _rescale_after_normalization(model)
    return model


def _rescale_after_normalization(model: keras.Model) -> keras.Model:
    """Add the second rescaling with which EfficientNet's ImageNet weights were trained.

    Keras's normalization divides by the square root of the stored deviations, and the pretrained
    graph divides by that root once more. Keras adds this layer only when it loads the ImageNet
    weights itself; without it, loaded weights see inputs of half the contrast.

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
    """Clone a layer without its weights."""
    return layer.__class__.from_config(layer.get_config())


def _licence(architecture: Architecture, config: BackboneConfig) -> str:
    """Licence of the weights in use."""
    if config.weights == PRETRAINED:
        return architecture.licence
    return "Apache-2.0" if config.weights == "random" else "unknown"
