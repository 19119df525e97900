"""YAMNet: depthwise-separable convolutions over log-mel frames, pretrained on AudioSet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers

from kft.backbones.audio.options import read_option
from kft.backbones.crossings import feature_levels
from kft.backbones.official import OTHER_FILES
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Backbone
from kft.backbones.weights import (
    check_given,
    is_legacy,
    load_file,
    obtain_official,
)
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.modalities.audio.front_end import YAMNET_BANDS, YAMNET_RATE
from kft.modalities.audio.input_spec import AudioSpec

# Stride and channels of each layer after the first.
_LAYERS = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *((1, 512),) * 5,
    *((2, 1024), (1, 1024)),
)
MOST_LAYERS = len(_LAYERS) + 1


def load(config: BackboneConfig) -> Backbone:
    """Load the backbone `yamnet` with AudioSet's weights, random ones or those of a file.

    It is convolutional in time: a recording of any length gives a map of (frames / 32, 2, 1024),
    whose mean is the mean over overlapping patches of 96 frames, as YAMNet gives them, but for
    the borders of the patches.

    Raises:
        BackboneError: An option, the size or the weights are not allowed.
    """
    num_layers = read_option(config, "layers", MOST_LAYERS, 2, MOST_LAYERS)
    path: Path | None = None
    if config.weights == PRETRAINED:
        # Searched before the model is built, so that a missing file is reported at once.
        path = obtain_official(OTHER_FILES["yamnet"])
    elif config.weights != "random":
        path = Path(config.weights).expanduser()
    model, names = build(num_layers)
    sha256 = None
    if path is not None and config.weights == PRETRAINED:
        sha256 = _load_weights(model, path)
    elif path is not None:
        check_given(path, trust=config.trust)
        sha256 = _load_weights(model, path)
    blocks = blocks_by_layer_names(model, names)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=AudioSpec(YAMNET_RATE, front_end="yamnet"),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=f"YAMNet, {num_layers} layers, {path.name if path else 'random weights'}",
        licence="Apache-2.0" if config.weights in (PRETRAINED, "random") else "unknown",
        sha256=sha256,
    )


def build(num_layers: int) -> tuple[keras.Model, dict[str, list[str]]]:
    """Build the first layers of YAMNet; return them with the layer names of each block.

    Source: https://github.com/tensorflow/models/tree/master/research/audioset/yamnet.
    """
    inputs = keras.Input((None, YAMNET_BANDS, 1), name="log_mel")
    names: dict[str, list[str]] = {"stem": []}
    x = _convolve(inputs, layers.Conv2D(32, 3, 2, **_named("layer1_conv")), names["stem"])
    for number, (stride, channels) in enumerate(_LAYERS[: num_layers - 1], start=2):
        own = names.setdefault(f"block{number - 1}", [])
        depthwise, pointwise = f"layer{number}_depthwise_conv", f"layer{number}_pointwise_conv"
        x = _convolve(x, layers.DepthwiseConv2D(3, stride, **_named(depthwise)), own)
        x = _convolve(x, layers.Conv2D(channels, 1, 1, **_named(pointwise)), own)
    return keras.Model(inputs, x, name="yamnet"), names


def _named(name: str) -> dict[str, Any]:
    return {"padding": "same", "use_bias": False, "name": name}


def _convolve(x: Any, convolution: layers.Layer, names: list[str]) -> Any:
    """Add a convolution, batch normalization and a ReLU."""
    name = convolution.name
    # Keras's default momentum of 0.99 needs hundreds of steps to adapt; small data sets have tens.
    normalization = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-4, scale=False, name=f"{name}_bn"
    )
    activation = layers.ReLU(name=f"{name}_relu")
    names += [name, normalization.name, activation.name]
    return activation(normalization(convolution(x)))


def _load_weights(model: keras.Model, path: Path) -> str:
    """Load a file of YAMNet's weights, which may hold more layers; return its SHA-256.

    Raises:
        BackboneError: The file is damaged or does not fit `model`.
    """
    return load_file(model, path, read=_copy_from_legacy if is_legacy(path) else None)


def _copy_from_legacy(model: keras.Model, path: Path) -> None:
    """Copy the weights of a file of Keras 2, whose layers are named `layer1/conv/bn`."""
    import h5py

    with h5py.File(path, "r") as file:
        arrays: dict[str, Any] = {}
        file.visititems(lambda name, item: arrays.update({f"/{name}": item}))
        for layer in model.layers:
            scope = layer.name.replace("_", "/", 1).removesuffix("_bn")
            scope += "/bn" * layer.name.endswith("_bn")
            for variable in layer.weights:
                # Keras 3 names all kernels alike.
                is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
                ending = f"/{scope}/{'depthwise_' * is_depthwise}{variable.name}:0"
                found = [item for name, item in arrays.items() if name.endswith(ending)]
                if len(found) != 1:
                    raise ValueError(f"it holds {len(found)} arrays {ending[1:]!r}, expected one.")
                if found[0].shape != tuple(variable.shape):
                    raise ValueError(
                        f"{ending[1:]!r} has shape {found[0].shape}, expected "
                        f"{tuple(variable.shape)}."
                    )
                variable.assign(found[0][()])
