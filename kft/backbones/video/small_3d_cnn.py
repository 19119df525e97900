"""kft's small network over clips: convolutions over place and time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers

from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Backbone
from kft.backbones.video.options import DEFAULT_FRAMES, FRAMES, Allowed, read_options
from kft.backbones.weights import load_given
from kft.config.schema import PRETRAINED, BackboneConfig
from kft.errors import BackboneError
from kft.modalities.video.input_spec import CLIP, VideoSpec

DEFAULT_SIZE = 64
SMALLEST_SIZE = 16
_OPTIONS: Allowed = {"frames": (DEFAULT_FRAMES, FRAMES), "width": (16, range(1, 257))}
_STAGES = 3


def load(config: BackboneConfig) -> Backbone:
    """Load the backbone `small_3d_cnn` with random weights or those of a file.

    Raises:
        BackboneError: Pretrained weights, an unknown option or too small frames are requested.
    """
    if config.weights == PRETRAINED:
        raise BackboneError(
            "backbone.weights: small_3d_cnn has no pretrained weights. Set "
            "`backbone.weights=random`, or the path of a file that `kft pretrain` saved."
        )
    options = read_options(config, _OPTIONS)
    size = config.input_size or DEFAULT_SIZE
    if size < SMALLEST_SIZE:
        raise BackboneError(
            f"backbone.input_size: {size} is too small for small_3d_cnn; the minimum is "
            f"{SMALLEST_SIZE}."
        )
    model, names = build(options["frames"], size, options["width"])
    sha256 = None
    source = "kft small_3d_cnn, random weights"
    if config.weights != "random":
        path = Path(config.weights).expanduser()
        sha256 = load_given(model, path, trust=config.trust)
        source = f"kft small_3d_cnn, {path.name}"
    blocks = blocks_by_layer_names(model, names)
    return Backbone(
        name=config.name,
        model=model,
        input_spec=VideoSpec(options["frames"], size, size, "symmetric"),
        blocks=blocks,
        feature_levels=feature_levels(model, blocks),
        source=source,
        licence="Apache-2.0" if sha256 is None else "unknown",
        sha256=sha256,
    )


def build(frames: int, size: int, width: int) -> tuple[keras.Model, dict[str, list[str]]]:
    """Build the network; return it with the layer names of each block.

    A stem at half the size is followed by three stages, with `width` to 4 x `width` channels and
    strides 2, 4 and 8 across the frame; time stays as long as it is. A kernel of 3 x 3 x 3 sees
    motion at once: kernels over place and then over time (R(2+1)D) needed longer to learn it.

    Source: Tran et al., Learning Spatiotemporal Features with 3D Convolutional Networks,
    arXiv:1412.0767, section 3.1.
    """
    inputs = keras.Input((frames, size, size, 3), name=CLIP)
    names: dict[str, list[str]] = {"stem": []}
    x = _convolve(inputs, "stem", width, stride=2, names=names["stem"])
    for stage in range(1, _STAGES + 1):
        name, channels = f"stage{stage}", width * 2 ** (stage - 1)
        own = names.setdefault(name, [])
        stride = 1 if stage == 1 else 2
        x = _convolve(x, name, channels, stride=stride, names=own)
    return keras.Model(inputs, x, name="small_3d_cnn"), names


def _convolve(x: Any, prefix: str, channels: int, *, stride: int, names: list[str]) -> Any:
    """Add a convolution, batch normalization and a ReLU; `stride` is across the frame."""
    added = [
        layers.Conv3D(
            channels,
            3,
            strides=(1, stride, stride),
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{prefix}_conv",
        ),
        # Keras's default of 0.99 needs hundreds of steps to adapt; small data sets have tens.
        layers.BatchNormalization(momentum=0.9, name=f"{prefix}_bn"),
        layers.ReLU(name=f"{prefix}_relu"),
    ]
    for layer in added:
        x = layer(x)
        names.append(layer.name)
    return x
