"""A model in two parts, around the tensor that is explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kft.backbones.graph import Graph
from kft.errors import RunError
from kft.modalities import InputSpec
from kft.tasks.head import Head

# Cells along the longer side of a feature map from which on it shows where something is.
_LEAST_CELLS = 7
_EXPLAINED = "explained"
_PADDING = (
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
)


class Gradients(NamedTuple):
    """Scores and their gradients.

    Attributes:
        scores: Scores (batch,).
        tensor: Gradient by the explained tensor (batch, …).
        features: Values of the feature map (batch, …, channels); empty without a map.
        by_features: Gradient by the feature map.
    """

    scores: np.ndarray
    tensor: np.ndarray
    features: np.ndarray
    by_features: np.ndarray


class ExplainedModel:
    """A trained model whose answers are explained over a tensor of its graph.

    Args:
        model: Model from elements by name to logits.
        head: Its head.
        spec: Its input.

    Raises:
        RunError: The graph lacks the tensor.
    """

    def __init__(self, model: keras.Model, head: Head, spec: InputSpec) -> None:
        self.model, self.head, self.spec = model, head, spec
        self._graph = Graph(model)
        self._tensor = self._find_tensor()
        self._others, self._steps = self._trace_back()

    def measure(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """Compute the explained tensor of examples: float32 (batch, …).

        Args:
            inputs: Elements by name (batch, …).
        """
        front = keras.Model(self.model.input, self._tensor)
        return np.asarray(keras.ops.convert_to_numpy(front(dict(inputs))), np.float32)

    def answer(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """Compute the outputs of the head's `activate` (batch, outputs)."""
        return np.asarray(self.head.activate(self.model(dict(inputs), training=False)))

    def score(
        self, tensor: np.ndarray, inputs: Mapping[str, np.ndarray], direction: np.ndarray
    ) -> np.ndarray:
        """Compute scores (batch,).

        Args:
            tensor: Explained tensor (batch, …).
            inputs: Elements of one example, without the batch.
            direction: Direction from `Head.find_explained`.
        """
        return self._score(*self._repeat(tensor, inputs, direction)).numpy()

    def differentiate(
        self, tensor: np.ndarray, inputs: Mapping[str, np.ndarray], direction: np.ndarray
    ) -> Gradients:
        """Compute scores and their gradients; see `score`."""
        found = self._differentiate(*self._repeat(tensor, inputs, direction))
        return Gradients(*(np.asarray(each) for each in found))

    @cached_property
    def features(self) -> Any | None:
        """Feature map for Grad-CAM: the deepest with enough cells; None if the graph has none.

        Of a model with small maps it is the finest.
        """
        found = list(self._list_maps())
        if not found:
            return None
        longest = [max(size for size in tensor.shape[1:-1]) for tensor in found]
        fine = [place for place, cells in enumerate(longest) if cells >= _LEAST_CELLS]
        return found[fine[-1] if fine else int(np.argmax(longest))]

    def _list_maps(self) -> Iterator[Any]:
        axes = self.spec.explained
        rank = len(axes.names) + 2
        if not axes.is_continuous:
            return
        for place in sorted(self._steps):
            step = self._graph.steps[place]
            shape = tuple(step.outputs[0].shape)
            is_map = len(shape) == rank and None not in shape[1:] and max(shape[1:-1]) > 1
            if is_map and not isinstance(step.operation, _PADDING):
                yield step.outputs[0]

    def _find_tensor(self) -> Any:
        """Find the explained tensor: an input, the output of a layer, or vectors of an input."""
        name = self.spec.explained.layer
        if name not in self.model.input:
            for step in self._graph.steps:
                if step.operation.name == name:
                    return step.outputs[0]
        elif keras.backend.is_float_dtype(self.model.input[name].dtype):
            return self.model.input[name]
        else:
            given = self.model.input[name]
            for step in self._graph.steps:
                output = step.outputs[0]
                is_float = keras.backend.is_float_dtype(output.dtype) and len(output.shape) > 2
                if is_float and any(source is given for source in step.inputs):
                    return output
        raise RunError(
            f"the model cannot be explained: its graph has no layer {name!r}, or looks up no "
            "vectors for it."
        )

    def _trace_back(self) -> tuple[dict[str, Any], set[int]]:
        """Find the inputs besides the explained tensor that logits need, and the steps between."""
        names = {id(tensor): name for name, tensor in self.model.input.items()}
        others: dict[str, Any] = {}
        reached: set[int] = set()
        waiting = [self._graph.output]
        while waiting:
            tensor = waiting.pop()
            if tensor is self._tensor:
                continue
            if id(tensor) in names:
                others[names[id(tensor)]] = tensor
                continue
            place = self._graph.position(tensor)
            if place not in reached:
                reached.add(place)
                waiting.extend(self._graph.steps[place].inputs)
        return others, reached

    @cached_property
    def _rest(self) -> keras.Model:
        """Model from the explained tensor and the other inputs to feature map and logits."""
        outputs = [self._graph.output, *([] if self.features is None else [self.features])]
        return keras.Model([self._tensor, *self._others.values()], outputs)

    def _call_rest(self, tensor: Any, others: Mapping[str, Any]) -> list[Any]:
        given = [tf.cast(tensor, self._tensor.dtype), *(others[name] for name in self._others)]
        outputs = self._rest(given, training=False)
        return outputs if isinstance(outputs, list) else [outputs]

    def _repeat(
        self, tensor: np.ndarray, inputs: Mapping[str, np.ndarray], direction: np.ndarray
    ) -> tuple[Any, dict[str, Any], Any]:
        count = len(tensor)
        others = {
            name: tf.repeat(tf.convert_to_tensor(inputs[name])[tf.newaxis], count, axis=0)
            for name in self._others
        }
        directions = tf.repeat(tf.convert_to_tensor(direction)[tf.newaxis], count, axis=0)
        return tf.convert_to_tensor(tensor, tf.float32), others, directions

    @cached_property
    def _score(self) -> Any:
        @tf.function(autograph=False, reduce_retracing=True)
        def score(tensor: Any, others: Mapping[str, Any], directions: Any) -> Any:
            logits = self._call_rest(tensor, others)[0]
            return self.head.score(tf.cast(logits, tf.float32), directions)

        return score

    @cached_property
    def _differentiate(self) -> Any:
        @tf.function(autograph=False, reduce_retracing=True)
        def differentiate(tensor: Any, others: Mapping[str, Any], directions: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                logits, *maps = self._call_rest(tensor, others)
                scores = self.head.score(tf.cast(logits, tf.float32), directions)
            by_tensor, *by_maps = tape.gradient(
                scores, [tensor, *maps], unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            found = [scores, by_tensor, *maps, *by_maps]
            empty = tf.zeros((0,))
            return [tf.cast(each, tf.float32) for each in found] + [empty, empty] * (not maps)

        return differentiate
