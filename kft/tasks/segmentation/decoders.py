"""Decoders: layers from the feature maps of a backbone to the logits of each pixel.

They are small, because a backbone that was trained on photographs already holds most of what they
need, and normalise by groups of channels: the statistics of a batch of a few pictures are noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
from keras import layers, ops

LEVEL_MAP = "level_map"
"""Name of the layer whose output a linear decoder reads: all levels side by side."""
Decoder = Callable[[Sequence[keras.KerasTensor], int, float], keras.KerasTensor]
"""Function from levels, fine to coarse (batch, h, w, c), the number of classes and the dropout rate
to logits (batch, h, w, classes) at the finest level that it reads."""
LOGITS = "logits"

_GROUPS = 8
_LRASPP_CHANNELS = 128
_UNET_CHANNELS = 64
_DEEPLAB_CHANNELS = 128
_DEEPLAB_LOW_CHANNELS = 48
# Levels at an eighth of the input and coarser; a finer one would mostly repeat edges.
_LINEAR_STRIDE = 8
_LRASPP_STRIDE = 8
_FINEST_STRIDE = 4


def choose_strides(decoder: str, strides: Sequence[int]) -> list[int]:
    """Choose the strides of the levels that a decoder reads, fine to coarse.

    Args:
        decoder: A name of `DECODERS`.
        strides: Strides of the backbone's levels, fine to coarse.
    """
    finest = {"linear": _LINEAR_STRIDE, "lraspp": _LRASPP_STRIDE}.get(decoder, _FINEST_STRIDE)
    chosen = [stride for stride in strides if stride >= finest] or [strides[-1]]
    # Atrous pooling refines the coarsest map by the finest alone.
    return [chosen[0], chosen[-1]] if decoder == "deeplab" and len(chosen) > 1 else chosen


def lraspp(
    levels: Sequence[keras.KerasTensor], num_classes: int, dropout: float
) -> keras.KerasTensor:
    """Read the coarse levels through a gate, and add what the finest sees.

    Source: Howard et al., Searching for MobileNetV3, arXiv:1905.02244 (LR-ASPP); here every level
    between the finest and the coarsest is read too.
    """
    *finer, coarsest = levels
    finest = finer[0] if finer else coarsest
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="head_pool")(coarsest)
    gate = layers.Conv2D(_LRASPP_CHANNELS, 1, activation="sigmoid", name="head_gate")(gate)
    deep = _join(
        [*finer[1:], coarsest], like=(finer[1] if len(finer) > 1 else coarsest), name="head_deep"
    )
    deep = _convolve(deep, _LRASPP_CHANNELS, name="head_context")
    deep = layers.Multiply(name="head_gated")([deep, gate])
    low = layers.Conv2D(
        num_classes, 1, name="head_low", dtype="float32", kernel_initializer="zeros"
    )(finest)
    high = _classify(_resize(deep, finest, "head_up"), num_classes, dropout)
    return layers.Add(name="head_sum", dtype="float32")([low, high])


def unet(
    levels: Sequence[keras.KerasTensor], num_classes: int, dropout: float
) -> keras.KerasTensor:
    """Refine the coarsest level by each finer one in turn.

    Source: Ronneberger et al., U-Net, arXiv:1505.04597; with separable convolutions.
    """
    *finer, features = levels
    features = _convolve(features, _UNET_CHANNELS, name="head_bottom")
    for depth, level in reversed(list(enumerate(finer))):
        features = _join([level, features], like=level, name=f"head_join{depth}")
        features = _convolve(features, _UNET_CHANNELS, size=3, name=f"head_refine{depth}")
    return _classify(features, num_classes, dropout)


def deeplab(
    levels: Sequence[keras.KerasTensor], num_classes: int, dropout: float
) -> keras.KerasTensor:
    """Read the coarsest level at several scales, and refine it by the finest.

    Source: Chen et al., DeepLabV3+, arXiv:1802.02611. The coarsest level has a stride of 32, where
    rates beyond 3 would look past the edges.
    """
    low, high = levels[0], levels[-1]
    scales = [_convolve(high, _DEEPLAB_CHANNELS, name="head_scale1")]
    scales += [
        _convolve(high, _DEEPLAB_CHANNELS, size=3, rate=rate, name=f"head_scale{rate + 1}")
        for rate in (1, 2, 3)
    ]
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="head_pool")(high)
    pooled = layers.Conv2D(_DEEPLAB_CHANNELS, 1, activation="relu", name="head_whole")(pooled)
    scales.append(_resize(pooled, high, "head_spread"))
    features = layers.Concatenate(name="head_scales")(scales)
    features = _convolve(features, _DEEPLAB_CHANNELS, name="head_context")
    if low is not high:
        low = _convolve(low, _DEEPLAB_LOW_CHANNELS, name="head_low")
        features = _join([low, features], like=low, name="head_join")
        features = _convolve(features, _DEEPLAB_CHANNELS, size=3, name="head_refine")
    return _classify(features, num_classes, dropout)


def linear(
    levels: Sequence[keras.KerasTensor], num_classes: int, dropout: float
) -> keras.KerasTensor:
    """Read all levels at once by a single convolution of 1 x 1, which can be solved for."""
    return _classify(_join(levels, like=levels[0], name=LEVEL_MAP), num_classes, dropout)


DECODERS: dict[str, Decoder] = {
    "lraspp": lraspp,
    "unet": unet,
    "deeplab": deeplab,
    "linear": linear,
}


def resize_logits(logits: keras.KerasTensor, size: tuple[int, ...]) -> keras.KerasTensor:
    """Resize logits to the pixels of the input, in float32."""
    return ResizedMap(size, name="full_logits")(logits)


def _classify(features: keras.KerasTensor, num_classes: int, dropout: float) -> keras.KerasTensor:
    if dropout:
        features = layers.Dropout(dropout, name="head_dropout")(features)
    # In float32 and from zeros, as in every head.
    last = layers.Conv2D(num_classes, 1, name=LOGITS, dtype="float32", kernel_initializer="zeros")
    return last(features)


def _convolve(
    features: keras.KerasTensor, channels: int, *, size: int = 1, rate: int = 1, name: str
) -> keras.KerasTensor:
    kind = layers.Conv2D if size == 1 else layers.SeparableConv2D
    options = {"padding": "same", "use_bias": False, "dilation_rate": rate, "name": name}
    features = kind(channels, size, **options)(features)
    features = layers.GroupNormalization(_GROUPS, name=f"{name}_norm")(features)
    return layers.Activation("relu", name=f"{name}_relu")(features)


def _join(
    levels: Sequence[keras.KerasTensor], *, like: keras.KerasTensor, name: str
) -> keras.KerasTensor:
    """Resize maps to the size of one of them, and put their channels side by side."""
    sized = [_resize(level, like, f"{name}_up{i}") for i, level in enumerate(levels)]
    if len(sized) == 1:
        return layers.Identity(name=name)(sized[0])
    return layers.Concatenate(name=name)(sized)


def _resize(features: keras.KerasTensor, like: keras.KerasTensor, name: str) -> keras.KerasTensor:
    if features.shape[1:3] == like.shape[1:3]:
        return features
    return ResizedMap(tuple(like.shape[1:3]), name=name)(features)


@keras.saving.register_keras_serializable(package="kft")
class ResizedMap(layers.Layer):
    """Bilinear resizing of maps (batch, h, w, c), in float32.

    Args:
        size: Height and width of the output.
    """

    def __init__(self, size: tuple[int, ...], **options: object) -> None:
        options["dtype"] = "float32"
        super().__init__(**options)
        self.size = tuple(size)

    def call(self, features: object) -> object:
        """Resize the maps."""
        return ops.image.resize(features, self.size, interpolation="bilinear")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the resized maps."""
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, object]:
        """Return the settings that rebuild the layer."""
        return {**super().get_config(), "size": list(self.size)}
