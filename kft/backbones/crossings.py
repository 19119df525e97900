"""Tensors that lead from the blocks of a backbone to later ones: ends, levels, crossings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kft.backbones.graph import Graph
from kft.backbones.record import Backbone, Block, FeatureLevel
from kft.errors import BackboneError
from kft.tasks.pooling import FEATURES


def feature_levels(model: keras.Model, blocks: Sequence[Block]) -> tuple[FeatureLevel, ...]:
    """Deepest feature map that ends a block, for each stride, fine to coarse.

    A transformer has one level, because all of its blocks keep the steps.
    """
    graph = Graph(model)
    strides = graph.strides()
    levels: dict[int, FeatureLevel] = {}
    for block, tensor in zip(blocks, block_outputs(model, blocks), strict=True):
        stride = strides.get(id(tensor))
        if stride is not None:
            levels[stride] = FeatureLevel(stride, block.name, tensor)
    return tuple(levels[stride] for stride in sorted(levels))


def block_outputs(model: keras.Model, blocks: Sequence[Block]) -> list[Any]:
    """Tensor at the end of each block.

    It is the single tensor that crosses to the next block, or else the output of the block's
    last layer.
    """
    graph = Graph(model)
    cuts = graph.cuts()
    outputs = []
    for index in range(len(blocks)):
        cut = _cut_between(graph, cuts, blocks[: index + 1], blocks[index + 1 :])
        outputs.append(cut if cut is not None else _last_output(graph, blocks[index]))
    return outputs


def named_outputs(backbone: Backbone) -> dict[str, Any]:
    """Tensors inside a backbone that a head may read, by name.

    They are the output of the model, 'features', and the end of each block under its name, if
    the blocks are visible.
    """
    outputs = {FEATURES: backbone.model.output}
    if backbone.feature_levels:
        ends = block_outputs(backbone.model, backbone.blocks)
        outputs |= {block.name: end for block, end in zip(backbone.blocks, ends, strict=True)}
    return outputs


def crossing_after(
    model: keras.Model, before: Sequence[Block], after: Sequence[Block]
) -> tuple[Any, ...] | None:
    """Find the fewest tensors that cross from all layers of `before` to all weights of `after`.

    A layer that belongs to no block and reads `before` alone, such as a statistic for the head, is
    computed before the crossing.

    Returns:
        The tensors, in the order of the graph; None if the layers are interleaved.
    """
    graph = Graph(model)
    places, crossings = range(*_find_range(_positions(graph), before, after)), graph.crossings()
    if not places:
        return None
    place = min(places, key=lambda place: len(crossings[place]))
    crossing = crossings[place]
    own = {id(layer) for block in (*before, *after) for layer in block.layers}
    available = {id(tensor) for tensor in crossing}
    crossed = []
    for tensor in crossing:
        readers = [
            step
            for step in graph.steps[place + 1 :]
            if any(source is tensor for source in step.inputs)
        ]
        is_read_outside = readers and all(
            isinstance(step.operation, keras.layers.Layer)
            and id(step.operation) not in own
            and all(id(source) in available for source in step.inputs)
            for step in readers
        )
        crossed += (
            [out for step in readers for out in step.outputs] if is_read_outside else [tensor]
        )
    return tuple(crossed)


def cut_after(backbone: Backbone, block: str) -> Any | None:
    """Find the single tensor that crosses from `block` to later blocks; None if several do.

    The model can be computed once up to this tensor and continued from it.

    Raises:
        BackboneError: The backbone has no such block.
    """
    names = [b.name for b in backbone.blocks]
    if block not in names:
        raise BackboneError(
            f"backbone {backbone.name!r} has no block {block!r}. Blocks: {', '.join(names)}."
        )
    index = names.index(block) + 1
    graph = Graph(backbone.model)
    return _cut_between(graph, graph.cuts(), backbone.blocks[:index], backbone.blocks[index:])


def _cut_between(
    graph: Graph, cuts: Sequence[Any], before: Sequence[Block], after: Sequence[Block]
) -> Any | None:
    """Find the first cut between all layers of `before` and all weights of `after`.

    The first rather than the last, because padding that opens the next block does not belong to
    this block's feature map.
    """
    if not after:
        return graph.output
    first, last = _find_range(_positions(graph), before, after)
    return next((cut for cut in cuts if first <= graph.position(cut) < last), None)


def _find_range(
    positions: Mapping[int, list[int]], before: Sequence[Block], after: Sequence[Block]
) -> tuple[int, int]:
    """Range of positions from the last layer of `before` to the first weights of `after`.

    It is empty if they are interleaved, or hidden in the graph of a SavedModel.
    """
    layers = [layer for block in (*before, *after) for layer in block.layers]
    if any(id(layer) not in positions for layer in layers):
        return 0, 0
    first = max(max(positions[id(layer)]) for block in before for layer in block.layers)
    last = min(
        min(positions[id(layer)]) for block in after for layer in block.layers if layer.weights
    )
    return first, last


def _last_output(graph: Graph, block: Block) -> Any:
    """Output tensor of the block's deepest layer."""
    positions = _positions(graph)
    return graph.steps[max(max(positions[id(layer)]) for layer in block.layers)].outputs[0]


def _positions(graph: Graph) -> dict[int, list[int]]:
    """Map the id of each operation to the positions of the steps that call it."""
    found: dict[int, list[int]] = {}
    for position, step in enumerate(graph.steps):
        found.setdefault(id(step.operation), []).append(position)
    return found
