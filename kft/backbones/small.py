"""kft's small residual network, for pretraining on a user's data and for demonstrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Backbone
from kft.backbones.weights import load_given
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.errors import BackboneError
from kft.modalities.image.input_spec import ImageSpec

DEFAULT_SIZE = 32
SMALLEST_SIZE = 16
DEFAULT_WIDTH = 16
_STAGES = 4


def load(config: BackboneConfig) -> Backbone:
    """Load the `small_cnn` backbone with random weights or those of a file.

    Raises:
        BackboneError: ImageNet weights, an unknown option or too small an input is requested.
    """
    if config.weights == PRETRAINED:
        raise BackboneError(
            "backbone.weights: small_cnn has no ImageNet weights. Set "
            "`backbone.weights=random`, or the path of a file that `kft pretrain` saved."
        )
    width = _check_options(config)
    size = config.input_size or DEFAULT_SIZE
    model, names = build(size, width)
    sha256 = None
    source = "kft small_cnn, random weights"
    if config.weights != "random":
        path = Path(config.weights).expanduser()
        sha256 = load_given(model, path, trust=config.trust)
        source = f"kft small_cnn, {path.name}"
    blocks = blocks_by_layer_names(model, names)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=ImageSpec(size, size, 3, "symmetric"),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=source,
        licence="Apache-2.0" if sha256 is None else "unknown",
        sha256=sha256,
    )


def build(size: int, width: int) -> tuple[keras.Model, dict[str, list[str]]]:
    """Build the network; return it with the layer names of each block.

    A 3 x 3 stem is followed by four stages of one residual block each, with `width` to
    8 x `width` channels and strides 1, 2, 4 and 8: 32 pixels yield a map of 4 x 4.

    Source: He et al., Deep Residual Learning, arXiv:1512.03385, section 4.2.
    """
    inputs = keras.Input((size, size, 3), name="pixels")
    names: dict[str, list[str]] = {}
    x = _convolve(inputs, "stem", width, 1, names=names.setdefault("stem", []))
    for stage in range(1, _STAGES + 1):
        name = f"stage{stage}"
        x = _residual(
            x, name, width * 2 ** (stage - 1), 1 if stage == 1 else 2, names.setdefault(name, [])
        )
    return keras.Model(inputs, x, name="small_cnn"), names


def _residual(x: Any, prefix: str, channels: int, stride: int, names: list[str]) -> Any:
    """Add two convolutions and a shortcut, which averages before its 1 x 1 convolution.

    A strided 1 x 1 convolution would drop three of four pixels. With few channels, its gradient
    also crashed TensorFlow 2.21 under oneDNN (segmentation fault at 4 to 8 channels).

    Source: He et al., Bag of Tricks for Image Classification, arXiv:1812.01187 (ResNet-D).
    """
    shortcut = x
    if stride != 1:
        names.append(f"{prefix}_shortcut_pool")
        shortcut = keras.layers.AveragePooling2D(
            stride, padding="same", name=f"{prefix}_shortcut_pool"
        )(shortcut)
    if x.shape[-1] != channels:
        shortcut = _convolve(
            shortcut, f"{prefix}_shortcut", channels, 1, kernel=1, activate=False, names=names
        )
    x = _convolve(x, f"{prefix}_first", channels, stride, names=names)
    x = _convolve(x, f"{prefix}_second", channels, 1, activate=False, names=names)
    names += [f"{prefix}_add", f"{prefix}_out"]
    x = keras.layers.Add(name=f"{prefix}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{prefix}_out")(x)


def _convolve(
    x: Any,
    prefix: str,
    channels: int,
    stride: int,
    *,
    names: list[str],
    kernel: int = 3,
    activate: bool = True,
) -> Any:
    """Add a convolution, batch normalization and optionally a ReLU."""
    names += [f"{prefix}_conv", f"{prefix}_bn"]
    x = keras.layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{prefix}_conv",
    )(x)
    # Keras's default of 0.99 needs hundreds of steps to adapt; small data sets have tens.
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"{prefix}_bn")(x)
    if activate:
        names.append(f"{prefix}_relu")
        x = keras.layers.ReLU(name=f"{prefix}_relu")(x)
    return x


def _check_options(config: BackboneConfig) -> int:
    """Validate options and size; return the width.

    Raises:
        BackboneError: An option or the size is not allowed.
    """
    unknown = sorted(set(config.options) - {"width"})
    if unknown:
        raise BackboneError(
            f"backbone.options: small_cnn has no {', '.join(unknown)}. Allowed: width (whole "
            f"number, by default {DEFAULT_WIDTH})."
        )
    width = config.options.get("width", DEFAULT_WIDTH)
    if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= 256:
        raise BackboneError(
            f"backbone.options.width: {width!r} is not a whole number between 1 and 256."
        )
    if config.input_size is not None and config.input_size < SMALLEST_SIZE:
        raise BackboneError(
            f"backbone.input_size: {config.input_size} is too small for small_cnn; "
            f"the minimum is {SMALLEST_SIZE}."
        )
    return width
