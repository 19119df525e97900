"""Partition of a functional model's layers into ordered blocks, and its feature levels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kft.backbones.architecture import Boundary
from kft.backbones.graph import Graph
from kft.backbones.record import Backbone, Block, FeatureLevel
from kft.errors import BackboneError
from kft.tasks.pooling import FEATURES


def partition(model: keras.Model, boundaries: Sequence[Boundary]) -> tuple[Block, ...]:
    """Divide `model` into blocks by the boundaries of its family.

    A block holds the layers on which its end depends and that no earlier block holds. Layers
    after the last end form the 'tail', or join the last block if they have no variables.

    Raises:
        BackboneError: A boundary matches no layer, or a variable lies in no block or in two.
    """
    graph = Graph(model)
    return _blocks_from_ends(model, graph, _find_ends(graph, boundaries))


def partition_by_stride(model: keras.Model) -> tuple[Block, ...]:
    """Divide any functional model into blocks, one per stride, cut where a single tensor crosses.

    The blocks are named stem, stage1, stage2 … and tail (after the last feature map). A model
    without cuts is a single block, 'stage1'.
    """
    graph = Graph(model)
    strides = graph.strides()
    ends: dict[int, Any] = {}
    for cut in graph.cuts():
        if id(cut) in strides and cut is not graph.steps[0].outputs[0]:
            ends[strides[id(cut)]] = cut
    ordered = sorted(ends.values(), key=graph.position)
    weighted = []
    seen: set[int] = set()
    for end in ordered:
        members = graph.ancestors(end)
        if any(_has_variables(graph, position) for position in members - seen):
            weighted.append(end)
            seen |= members
    names = ["stem", *(f"stage{index}" for index in range(1, len(weighted)))]
    if len(weighted) < 2:
        names = ["stage1"]
    return _blocks_from_ends(model, graph, list(zip(names, weighted, strict=False)))


def blocks_by_layer_names(
    model: keras.Model, names: Mapping[str, Sequence[str]]
) -> tuple[Block, ...]:
    """Divide `model` into blocks by a mapping of block names to layer names.

    Raises:
        BackboneError: A layer is missing, or a variable lies in no block or in two.
    """
    layers = {layer.name: layer for layer in model.layers}
    missing = [name for members in names.values() for name in members if name not in layers]
    if missing:
        raise BackboneError(f"model {model.name!r} lacks layers of its blocks: {missing[:5]}.")
    blocks = tuple(
        Block(block, tuple(layers[name] for name in members)) for block, members in names.items()
    )
    check_blocks(model, blocks)
    return blocks


def check_blocks(model: keras.Model, blocks: Sequence[Block]) -> None:
    """Refuse blocks unless every variable of `model` lies in exactly one.

    Raises:
        BackboneError: Variables lie in no block, in several blocks or outside the model.
    """
    counts = Counter(id(variable) for block in blocks for variable in block.variables)
    homeless = [v.path for v in model.weights if counts[id(v)] == 0]
    shared = [v.path for v in model.weights if counts[id(v)] > 1]
    own = {id(variable) for variable in model.weights}
    foreign = [v.path for block in blocks for v in block.variables if id(v) not in own]
    problems = [
        f"{len(paths)} {what}: {', '.join(paths[:5])}"
        for paths, what in (
            (homeless, "variables in no block"),
            (shared, "variables in several blocks"),
            (foreign, "variables outside the model"),
        )
        if paths
    ]
    if problems:
        raise BackboneError(
            f"model {model.name!r} cannot be divided into blocks. {'; '.join(problems)}."
        )


def feature_levels(model: keras.Model, blocks: Sequence[Block]) -> tuple[FeatureLevel, ...]:
    """Deepest feature map that ends a block, for each stride, fine to coarse."""
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

    Returns:
        The tensors, in the order of the graph; None if the layers are interleaved.
    """
    graph = Graph(model)
    positions = _positions(graph)
    first, last = _find_range(positions, before, after)
    return min(graph.crossings()[first:last], key=len, default=None)


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


def _positions(graph: Graph) -> dict[int, list[int]]:
    """Map the id of each operation to the positions of the steps that call it."""
    found: dict[int, list[int]] = {}
    for position, step in enumerate(graph.steps):
        found.setdefault(id(step.operation), []).append(position)
    return found


def _last_output(graph: Graph, block: Block) -> Any:
    """Output tensor of the block's deepest layer."""
    positions = _positions(graph)
    return graph.steps[max(max(positions[id(layer)]) for layer in block.layers)].outputs[0]


def _has_variables(graph: Graph, position: int) -> bool:
    return bool(getattr(graph.steps[position].operation, "weights", ()))


def _find_ends(graph: Graph, boundaries: Sequence[Boundary]) -> list[tuple[str, Any]]:
    """Find each block's name and the tensor at its end, shallow to deep."""
    cuts = graph.cuts()
    found: dict[str, tuple[int, Boundary]] = {}
    for boundary in boundaries:
        before = len(found)
        for position, step in enumerate(graph.steps):
            match = re.fullmatch(boundary.layers, step.operation.name)
            if match:
                number = int(match.group(1)) + boundary.offset if match.groups() else None
                found[boundary.block.format(number)] = (position, boundary)
        if len(found) == before:
            raise BackboneError(
                f"no layer matches {boundary.layers!r}, the end of block {boundary.block!r}: this "
                "release of Keras uses layer names that kft does not know."
            )
    ends = []
    for name, (position, boundary) in found.items():
        tensor = graph.steps[position].outputs[0]
        if boundary.at == "next_cut":
            tensor = next(cut for cut in cuts if graph.position(cut) >= position)
        elif boundary.at == "previous_cut":
            tensor = [cut for cut in cuts if graph.position(cut) < position][-1]
        ends.append((name, tensor))
    return sorted(ends, key=lambda end: graph.position(end[1]))


def _blocks_from_ends(
    model: keras.Model, graph: Graph, ends: Sequence[tuple[str, Any]]
) -> tuple[Block, ...]:
    """Assign each layer to the first block whose end depends on it."""
    members: list[tuple[str, set[int]]] = []
    seen: set[int] = set()
    for name, tensor in ends:
        own = graph.ancestors(tensor) - seen
        members.append((name, own))
        seen |= own
    rest = set(range(len(graph.steps))) - seen
    if any(_has_variables(graph, position) for position in rest) or not members:
        members.append(("tail" if members else "stage1", rest))
    else:
        members[-1][1].update(rest)
    blocks = tuple(Block(name, _layers(graph, positions)) for name, positions in members)
    check_blocks(model, blocks)
    return blocks


def _layers(graph: Graph, positions: set[int]) -> tuple[keras.layers.Layer, ...]:
    """Layers at `positions`, each once, in graph order, without the input layer."""
    layers: dict[int, keras.layers.Layer] = {}
    for position in sorted(positions):
        operation = graph.steps[position].operation
        if isinstance(operation, keras.layers.Layer) and not isinstance(
            operation, keras.layers.InputLayer
        ):
            layers.setdefault(id(operation), operation)
    return tuple(layers.values())
