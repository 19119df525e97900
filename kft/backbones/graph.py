"""The graph of a functional model: order, cuts and strides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras

from kft.errors import BackboneError


@dataclass(frozen=True)
class Step:
    """One call of an operation inside a model.

    Attributes:
        operation: The Keras layer or plain operation.
        inputs: Its input tensors.
        outputs: Its output tensors.
    """

    operation: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]


class Graph:
    """The steps of a functional model in topological order.

    Args:
        model: A functional model with one input and one output.

    Raises:
        BackboneError: The model is subclassed, or has several inputs or outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        nodes_by_depth = getattr(model, "_nodes_by_depth", None)
        if nodes_by_depth is None:
            raise BackboneError(
                f"model {model.name!r} is a {type(model).__name__}, not a functional model: its "
                "graph cannot be divided into blocks. Build it with keras.Model(inputs, outputs)."
            )
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise BackboneError(
                f"model {model.name!r} has {len(model.inputs)} inputs and {len(model.outputs)} "
                "outputs; a backbone has one of each."
            )
        self.output = model.outputs[0]
        self.steps = tuple(
            Step(
                node.operation,
                tuple(node.input_tensors),
                tuple(node.outputs),
            )
            for depth in sorted(nodes_by_depth, reverse=True)
            for node in nodes_by_depth[depth]
        )
        self._producer = {
            id(tensor): position
            for position, step in enumerate(self.steps)
            for tensor in step.outputs
        }

    def position(self, tensor: Any) -> int:
        """Position of the step whose output is `tensor`."""
        return self._producer[id(tensor)]

    def ancestors(self, tensor: Any) -> set[int]:
        """Positions of all steps that `tensor` depends on, including its own."""
        found: set[int] = set()
        waiting = [self.position(tensor)]
        while waiting:
            position = waiting.pop()
            if position not in found:
                found.add(position)
                waiting.extend(self._producer[id(source)] for source in self.steps[position].inputs)
        return found

    def cuts(self) -> list[Any]:
        """List the tensors that alone cross the graph, in order, with the input and the output.

        All steps before such a tensor reach the output through it alone, so that its value can be
        stored and the rest of the graph computed from there.
        """
        last_use: dict[int, int] = {id(self.output): len(self.steps)}
        for position, step in enumerate(self.steps):
            for source in step.inputs:
                last_use[id(source)] = max(last_use.get(id(source), -1), position)
        found = []
        open_until: dict[int, int] = {}
        for position, step in enumerate(self.steps):
            for tensor in step.outputs:
                open_until[id(tensor)] = last_use.get(id(tensor), position)
            open_until = {key: end for key, end in open_until.items() if end > position}
            if len(step.outputs) == 1 and set(open_until) == {id(step.outputs[0])}:
                found.append(step.outputs[0])
        return found

    def strides(self) -> dict[int, int]:
        """Map the id of each feature map to its stride, the product of the strides before it.

        Where paths meet, the coarsest counts. Tensors without height and width are omitted, as
        are maps pooled over their whole extent (squeeze and excitation).
        """
        found: dict[int, float] = {}
        for step in self.steps:
            sources = [found[id(source)] for source in step.inputs if id(source) in found]
            if step.inputs and not sources:
                continue
            stride = max(sources, default=1.0) * step_stride(step.operation)
            for tensor in step.outputs:
                if len(tensor.shape) == 4:
                    found[id(tensor)] = stride
        return {key: int(stride) for key, stride in found.items() if stride >= 1}


def step_stride(operation: Any) -> float:
    """Factor by which an operation coarsens its feature map; below 1 if it refines it."""
    if isinstance(operation, keras.Sequential):
        return float(math.prod(step_stride(layer) for layer in operation.layers))
    if isinstance(operation, keras.Model):
        inner = Graph(operation)
        return float(inner.strides().get(id(inner.output), 1))
    if isinstance(operation, keras.layers.UpSampling2D):
        return 1.0 / operation.size[0]
    strides = getattr(operation, "strides", None)
    if strides is None:
        return 1.0
    first = strides[0] if isinstance(strides, (tuple, list)) else strides
    if isinstance(operation, keras.layers.Conv2DTranspose):
        return 1.0 / float(first)
    return float(first)
