"""The graph of a functional model: order, crossing tensors and strides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from kft.errors import BackboneError

_UP_SAMPLING = (
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
)
_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


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
        model: A functional model with one output.

    Attributes:
        inputs: Input tensors of the model.
        output: Output tensor of the model.
        steps: Calls of its operations.

    Raises:
        BackboneError: The model is subclassed, or has several outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        nodes_by_depth = getattr(model, "_nodes_by_depth", None)
        if nodes_by_depth is None:
            raise BackboneError(
                f"model {model.name!r} is a {type(model).__name__}, not a functional model: its "
                "graph cannot be divided into blocks. Build it with keras.Model(inputs, outputs)."
            )
        if len(model.outputs) != 1:
            raise BackboneError(
                f"model {model.name!r} has {len(model.outputs)} outputs; a backbone has one."
            )
        self.inputs = tuple(model.inputs)
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

    def crossings(self) -> list[tuple[Any, ...]]:
        """List the tensors that cross from each step and those before it to later steps.

        If their values are stored, the rest of the graph can be computed from them. Inputs of the
        model are among them if later steps use them, such as the mask of a sequence.
        """
        last_use: dict[int, int] = {id(self.output): len(self.steps)}
        for position, step in enumerate(self.steps):
            for source in step.inputs:
                last_use[id(source)] = max(last_use.get(id(source), -1), position)
        found = []
        # Inputs cross from the beginning, wherever their steps are in the order.
        given = {id(tensor) for tensor in self.inputs}
        open_now = list(self.inputs)
        for position, step in enumerate(self.steps):
            made = [tensor for tensor in step.outputs if id(tensor) not in given]
            open_now = [
                tensor
                for tensor in (*open_now, *made)
                if last_use.get(id(tensor), position) > position
            ]
            found.append(tuple(open_now))
        return found

    def cuts(self) -> list[Any]:
        """List the tensors that alone cross the graph, in order, with the input and the output.

        All steps before such a tensor reach the output through it alone, except for inputs of the
        model that later steps use too.
        """
        inputs = {id(tensor) for tensor in self.inputs}
        found = []
        for step, crossing in zip(self.steps, self.crossings(), strict=True):
            computed = [tensor for tensor in crossing if id(tensor) not in inputs]
            alone = computed if computed or len(inputs) > 1 else list(crossing)
            if len(step.outputs) == 1 and [id(each) for each in alone] == [id(step.outputs[0])]:
                found.append(step.outputs[0])
        return found

    def strides(self) -> dict[int, int]:
        """Map the id of each map or volume to its stride, the product of the strides before it.

        Maps are of steps, of height and width, or of frames too: (batch, …, channels). Where paths
        meet, the coarsest counts. Vectors are omitted, as are maps pooled over their whole extent
        (squeeze and excitation).
        """
        # Samples and tokens are inputs without channels.
        found = {id(tensor): 1.0 for tensor in self.inputs}
        for step in self.steps:
            sources = [found[id(source)] for source in step.inputs if id(source) in found]
            if step.inputs and not sources:
                continue
            stride = max(sources, default=1.0) * step_stride(step.operation)
            for tensor in step.outputs:
                if len(tensor.shape) > 2:
                    found[id(tensor)] = stride
        return {key: int(stride) for key, stride in found.items() if stride >= 1}


def call_layers(model: Any, inputs: Any) -> Any:
    """Call each layer of a functional model on other inputs, without the model around them.

    Args:
        model: Functional model, or the `Function` of a part of one.
        inputs: Tensors in the structure of the model's input.
    """
    # Keras clones models in this way; it has no public name for it.
    return model._run_through_graph(inputs, operation_fn=lambda operation: operation)


def step_stride(operation: Any) -> float:
    """Factor by which an operation coarsens its feature map; below 1 if it refines it."""
    if isinstance(operation, keras.Sequential):
        return float(math.prod(step_stride(layer) for layer in operation.layers))
    if isinstance(operation, keras.Model):
        inner = Graph(operation)
        return float(inner.strides().get(id(inner.output), 1))
    if isinstance(operation, _UP_SAMPLING):
        return 1.0 / _last(operation.size)
    strides = getattr(operation, "strides", None)
    if strides is None:
        return 1.0
    return 1.0 / _last(strides) if isinstance(operation, _TRANSPOSED) else _last(strides)


def _last(sizes: int | Sequence[int]) -> float:
    """Factor along the last axis: over time it may differ from that over height and width."""
    return float(sizes[-1] if isinstance(sizes, Sequence) else sizes)
