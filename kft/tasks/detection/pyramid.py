"""Layers of a detector on the feature maps of a backbone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
from keras import layers

from kft.tasks.detection.points import SIDES, BoxDecoder

CHANNELS = 64
"""Channels of every map of the pyramid."""
# Normalisation of each example alone: batches of detectors are small, and their parts and replicas
# then compute what the whole batch does.
_GROUPS = 8
# Another map is added to one of more cells, for objects as large as the frame.
_FEWEST_CELLS = 4
# Probability of every class at first. Without it, the many points without an object would drown
# the few that have one. Source: Lin et al., arXiv:1708.02002.
_FIRST_SCORE = 0.01


def build_pyramid(maps: Sequence[keras.KerasTensor]) -> list[keras.KerasTensor]:
    """Build maps of equal width that see both detail and context.

    Args:
        maps: Feature maps (batch, h, w, c), fine to coarse, each half as large as the one before,
            rounded up.

    Returns:
        Maps (batch, h, w, `CHANNELS`) of the same sizes, and perhaps a coarser one.

    Source: Lin et al., Feature Pyramid Networks, arXiv:1612.03144, with separable convolutions.
    """
    merged: list[keras.KerasTensor] = []
    for level, each in reversed(list(enumerate(maps))):
        side = layers.Conv2D(CHANNELS, 1, name=f"pyramid_side{level}")(each)
        if merged:
            enlarged = _enlarge(merged[0], side, level)
            side = layers.Add(name=f"pyramid_sum{level}")([side, enlarged])
        merged.insert(0, side)
    found = [_Block(f"pyramid{level}")(each) for level, each in enumerate(merged)]
    if min(found[-1].shape[1:3]) > _FEWEST_CELLS:
        found.append(_Block(f"pyramid{len(found)}", strides=2)(found[-1]))
    return found


def build_answers(
    pyramid: Sequence[keras.KerasTensor], num_classes: int, name: str
) -> keras.KerasTensor:
    """Build the output of every point (batch, points, classes + 8), by layers that all maps share.

    Args:
        pyramid: Maps of the pyramid.
        num_classes: Number of classes.
        name: Name of the last layer.
    """
    first = -math.log((1 - _FIRST_SCORE) / _FIRST_SCORE)
    classes = _answer(pyramid, "class", num_classes, first)
    grids = [each.shape[1:3] for each in pyramid]
    boxes = BoxDecoder(grids, name="boxes")(_answer(pyramid, "box", SIDES, 0.0))
    return layers.Concatenate(axis=-1, name=name, dtype="float32")([classes, boxes])


def _answer(
    pyramid: Sequence[keras.KerasTensor], what: str, width: int, bias: float
) -> keras.KerasTensor:
    """Answer at every point (batch, points, width)."""
    tower = _Block(f"{what}_tower0"), _Block(f"{what}_tower1")
    last = layers.Conv2D(
        width,
        1,
        name=f"{what}_logits",
        # Losses sum many small numbers, so logits are float32 under a mixed policy too.
        dtype="float32",
        # With zeros, the first answers are the prior, and there is no random start to unlearn.
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(bias),
    )
    flat = []
    for level, each in enumerate(pyramid):
        seen = tower[1](tower[0](each))
        flat.append(
            layers.Reshape((-1, width), name=f"{what}_flat{level}", dtype="float32")(last(seen))
        )
    if len(flat) == 1:
        return flat[0]
    return layers.Concatenate(axis=1, name=f"{what}_all", dtype="float32")(flat)


class _Block:
    """Separable convolution, normalisation and activation, whose weights several maps may share."""

    def __init__(self, name: str, strides: int = 1) -> None:
        self._layers = (
            layers.SeparableConv2D(
                CHANNELS,
                3,
                strides=strides,
                padding="same",
                use_bias=False,
                name=f"{name}_conv",
            ),
            layers.GroupNormalization(_GROUPS, name=f"{name}_norm"),
            layers.ReLU(name=f"{name}_relu"),
        )

    def __call__(self, features: keras.KerasTensor) -> keras.KerasTensor:
        for layer in self._layers:
            features = layer(features)
        return features


def _enlarge(coarse: keras.KerasTensor, fine: keras.KerasTensor, level: int) -> keras.KerasTensor:
    """Double a map, and cut it to the size of a finer one."""
    doubled = layers.UpSampling2D(2, name=f"pyramid_up{level}")(coarse)
    rows, columns = (doubled.shape[axis] - fine.shape[axis] for axis in (1, 2))
    if not rows and not columns:
        return doubled
    return layers.Cropping2D(((0, rows), (0, columns)), name=f"pyramid_cut{level}")(doubled)
