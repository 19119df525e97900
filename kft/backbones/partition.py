"""Partition of a functional model's layers into ordered blocks, and its feature levels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kft.backbones.architecture import Boundary
from kft.backbones.graph import Graph
from kft.backbones.record import Block
from kft.errors import BackboneError


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
