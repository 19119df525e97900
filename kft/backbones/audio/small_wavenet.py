"""kft's small network over raw samples: dilated, gated convolutions as in WaveNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers

from kft.backbones.audio.options import read_option
from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Backbone
from kft.backbones.weights import load_given
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.errors import BackboneError
from kft.modalities.audio.input_spec import AudioSpec

RATE = 16_000
DEFAULT_WIDTH = 32
# 10 ms of samples every millisecond.
_STEM_KERNEL, _STEM_STRIDE = 160, 16
_NUM_STAGES = 4
_POOL = 3
_DILATIONS = (1, 2, 4)


def load(config: BackboneConfig) -> Backbone:
    """Load the backbone `small_wavenet` with random weights or those of a file.

    Raises:
        BackboneError: Pretrained weights, an unknown option or a size is requested.
    """
    if config.weights == PRETRAINED:
        raise BackboneError(
            "backbone.weights: small_wavenet has no pretrained weights. Set "
            "`backbone.weights=random`, or the path of a file that `kft pretrain` saved."
        )
    width = read_option(config, "width", DEFAULT_WIDTH, 1, 512)
    model, names = build(width)
    sha256 = None
    source = "kft small_wavenet, random weights"
    if config.weights != "random":
        path = Path(config.weights).expanduser()
        sha256 = load_given(model, path, trust=config.trust)
        source = f"kft small_wavenet, {path.name}"
    blocks = blocks_by_layer_names(model, names)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=AudioSpec(RATE),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=source,
        licence="Apache-2.0" if sha256 is None else "unknown",
        sha256=sha256,
    )


def build(width: int) -> tuple[keras.Model, dict[str, list[str]]]:
    """Build the network; return it with the layer names of each block.

    A stem of 1,000 steps per second is followed by four stages of three gated residual blocks
    with growing dilation, each stage with a third of the steps of the one before.

    Source: van den Oord et al., WaveNet, arXiv:1609.03499, section 2.3 and 2.4; here the
    convolutions look both ways, and are normalised.
    """
    inputs = keras.Input((None,), name="waveform")
    names: dict[str, list[str]] = {"stem": ["stem_channel"]}
    x = layers.Reshape((-1, 1), name="stem_channel")(inputs)
    x = _convolve(x, "stem", width, _STEM_KERNEL, stride=_STEM_STRIDE, names=names["stem"])
    names["stem"].append("stem_relu")
    x = layers.ReLU(name="stem_relu")(x)
    for stage in range(1, _NUM_STAGES + 1):
        own = names.setdefault(f"stage{stage}", [])
        for dilation in _DILATIONS:
            x = _gated(x, f"stage{stage}_dilation{dilation}", dilation, own)
        if stage < _NUM_STAGES:
            own.append(f"stage{stage}_pool")
            x = layers.AveragePooling1D(_POOL, padding="same", name=own[-1])(x)
    return keras.Model(inputs, x, name="small_wavenet"), names


def _gated(x: Any, prefix: str, dilation: int, names: list[str]) -> Any:
    """Add a gated convolution and the way around it."""
    width = x.shape[-1]
    content = _convolve(x, f"{prefix}_content", width, 3, dilation=dilation, names=names)
    gate = _convolve(x, f"{prefix}_gate", width, 3, dilation=dilation, names=names)
    content = layers.Activation("tanh", name=f"{prefix}_tanh")(content)
    gate = layers.Activation("sigmoid", name=f"{prefix}_sigmoid")(gate)
    gated = layers.Multiply(name=f"{prefix}_multiply")([content, gate])
    mixed = _convolve(gated, f"{prefix}_mix", width, 1, names=names)
    names += [f"{prefix}_{name}" for name in ("tanh", "sigmoid", "multiply", "add")]
    return layers.Add(name=f"{prefix}_add")([x, mixed])


def _convolve(
    x: Any,
    prefix: str,
    width: int,
    kernel: int,
    *,
    names: list[str],
    stride: int = 1,
    dilation: int = 1,
) -> Any:
    """Add a convolution and batch normalization."""
    names += [f"{prefix}_conv", f"{prefix}_bn"]
    x = layers.Conv1D(
        width,
        kernel,
        stride,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        name=f"{prefix}_conv",
    )(x)
    # Keras's default of 0.99 needs hundreds of steps to adapt; small data sets have tens.
    return layers.BatchNormalization(momentum=0.9, name=f"{prefix}_bn")(x)
