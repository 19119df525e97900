"""Where the frozen prefix of a model ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import keras

from kft.backbones.graph import Graph
from kft.backbones.partition import cut_after
from kft.heads.base import FEATURE_VECTOR
from kft.model import HEAD, Assembled


@dataclass(frozen=True)
class Cut:
    """A model in two parts that share its layers.

    Attributes:
        name: The deepest frozen block, or 'feature_vector'.
        prefix: Pixels -> the one tensor that crosses the cut; all of it is frozen.
        suffix: That tensor -> logits.
        backbone: Name of the backbone that was cut.
    """

    name: str
    prefix: keras.Model
    suffix: keras.Model
    backbone: str


def find_cut(assembled: Assembled, trainable: Iterable[str]) -> Cut | None:
    """The deepest cut before which nothing trains, or None where there is none.

    Args:
        assembled: The whole model.
        trainable: Blocks that train.
    """
    trainable = set(trainable)
    if not trainable - {HEAD}:
        vector = assembled.model.get_layer(FEATURE_VECTOR).output
        return Cut(
            FEATURE_VECTOR,
            keras.Model(assembled.model.input, vector, name="prefix"),
            keras.Model(vector, assembled.model.output, name="suffix"),
            assembled.backbone.name,
        )
    names = [block.name for block in assembled.backbone.blocks]
    first = min(names.index(name) for name in trainable if name in names)
    for depth in range(first, 0, -1):
        crossing = cut_after(assembled.backbone, names[depth - 1])
        if crossing is not None:
            return _cut_inside(assembled, crossing, names[depth - 1])
    return None


def _cut_inside(assembled: Assembled, crossing: keras.KerasTensor, name: str) -> Cut:
    model, backbone = assembled.model, assembled.backbone.model
    inner_prefix = keras.Model(backbone.input, crossing, name="inner_prefix")
    inner_suffix = keras.Model(crossing, backbone.output, name="inner_suffix")
    scaled = model.get_layer("pixel_scaling").output
    # Of the call in this model: `backbone.output` is the tensor inside the backbone's own graph.
    features = next(step.outputs[0] for step in Graph(model).steps if step.operation is backbone)
    above = keras.Model(features, model.output, name="above")
    stored = keras.Input(crossing.shape[1:], dtype=crossing.dtype, name="stored")
    return Cut(
        name,
        keras.Model(model.input, inner_prefix(scaled), name="prefix"),
        keras.Model(stored, above(inner_suffix(stored)), name="suffix"),
        assembled.backbone.name,
    )
