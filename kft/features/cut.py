"""Where the frozen prefix of a model ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import keras

from kft.backbones.record import Block
from kft.heads.base import FEATURE_VECTOR
from kft.model import HEAD, Assembled, flatten_layers


@dataclass(frozen=True)
class Cut:
    """A model in two parts that share its layers.

    Attributes:
        name: The deepest frozen block, or 'feature_vector'.
        prefix: Pixels -> the one tensor that crosses the cut; all of it is frozen.
        suffix: That tensor -> logits.
    """

    name: str
    prefix: keras.Model
    suffix: keras.Model


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
            keras.Model(assembled.model.inputs, vector, name="prefix"),
            keras.Model(vector, assembled.model.outputs, name="suffix"),
        )
    backbone = assembled.backbone.model
    names = [block.name for block in assembled.backbone.blocks]
    first = min(names.index(name) for name in trainable if name in names)
    for depth in range(first, 0, -1):
        crossing = _crossing_tensor(backbone, assembled.backbone.blocks[depth:])
        if crossing is not None:
            return _cut_inside(assembled, crossing, names[depth - 1])
    return None


def _crossing_tensor(backbone: keras.Model, rest: Sequence[Block]) -> keras.KerasTensor | None:
    """The one tensor that the blocks `rest` and all after them take from before.

    None where several tensors cross, as inside a cell with two inputs.
    """
    unfrozen = {
        id(part) for block in rest for layer in block.layers for part in flatten_layers(layer)
    }
    after: set[int] = set()
    crossing: dict[int, keras.KerasTensor] = {}
    # Keras shows a model's calls in order nowhere but here.
    by_depth = backbone._nodes_by_depth
    for node in (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]):
        inputs = node.input_tensors
        if id(node.operation) in unfrozen or any(id(tensor) in after for tensor in inputs):
            after.update(id(tensor) for tensor in node.output_tensors)
            crossing.update({id(tensor): tensor for tensor in inputs if id(tensor) not in after})
    if len(crossing) != 1:
        return None
    (tensor,) = crossing.values()
    return None if any(tensor is given for given in backbone.inputs) else tensor


def _cut_inside(assembled: Assembled, crossing: keras.KerasTensor, name: str) -> Cut:
    model, backbone = assembled.model, assembled.backbone.model
    inner_prefix = keras.Model(backbone.inputs, crossing, name="inner_prefix")
    inner_suffix = keras.Model(crossing, backbone.outputs, name="inner_suffix")
    scaled = model.get_layer("pixel_scaling").output
    above = keras.Model(model.get_layer(backbone.name).output, model.outputs, name="above")
    stored = keras.Input(crossing.shape[1:], dtype=crossing.dtype, name="stored")
    return Cut(
        name,
        keras.Model(model.inputs, inner_prefix(scaled), name="prefix"),
        keras.Model(stored, above(inner_suffix(stored)), name="suffix"),
    )
