"""Check that a backbone from a file is deterministic at inference and keeps its variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from kft.errors import BackboneError, first_line
from kft.modalities.image.scaling import PixelScaling

# Ops that TensorFlow counts as stateful although they neither draw numbers nor write.
_QUIET = (
    "ReadVariableOp",
    "VarHandleOp",
    "StatefulPartitionedCall",
    "If",
    "While",
    "Case",
    "Assert",
)
# Enough that layers which draw per example do not draw the same twice by chance.
_NUM_EXAMPLES = 8
# Where the length is open: tokens of a text, and a second of samples of a recording.
_NUM_TOKENS = 8
_NUM_SAMPLES = 16_000
# Share of the largest number: rounding stays far below it, an augmentation far above.
_TOLERANCE = 1e-5
_MAX_NAMES = 5
_REMEDY = (
    "Save the model without that layer (`data.image.augmentation` sets kft's augmentation), or so "
    "that the layer is called with `training=False`."
)


def check_repeatable(model: keras.Model, name: str) -> None:
    """Refuse a model that is random at inference or that changes its variables.

    Otherwise stored features, validation and served answers would each see another model. Keras's
    own layers are deterministic when the model is called with `training=False`, as is a graph
    without ops that draw numbers or write. Only other models are run, twice.

    Args:
        model: Model from pixels (batch, height, width, 3), height and width fixed, from samples
            of recordings (batch, samples), or from token ids and a padding mask, to features.
        name: Name for the message.

    Raises:
        BackboneError: The model is random or changes a variable; the message names the layers,
            the variables and the remedy.
    """
    if not any(_is_foreign(layer) for layer in model._flatten_layers()):
        return
    forward = tf.function(lambda inputs: model(inputs, training=False), autograph=False)
    inputs = tf.nest.map_structure(_draw, model.input)
    graph = forward.get_concrete_function(inputs)
    culprits = _find_stateful(graph.graph.as_graph_def())
    if not culprits:
        return
    before = [variable.numpy() for variable in graph.variables]
    try:
        first, second = (graph(inputs).numpy() for _ in range(2))
    except tf.errors.OpError as error:
        raise BackboneError(f"{name!r} fails when called: {first_line(error)}") from error
    moved = [
        variable.name.removesuffix(":0")
        for variable, value in zip(graph.variables, before, strict=True)
        if not np.array_equal(variable.numpy(), value, equal_nan=value.dtype.kind == "f")
    ]
    largest = float(np.abs(first).max(initial=0.0))
    if not np.allclose(first, second, rtol=0, atol=_TOLERANCE * largest, equal_nan=True):
        raise BackboneError(_describe_random(name, culprits, moved))
    if moved:
        raise BackboneError(_describe_moved(name, culprits, moved))


def _draw(given: keras.KerasTensor) -> tf.Tensor:
    """Draw values of an input; whole numbers are 1, a token that is no padding."""
    is_whole = tf.as_dtype(given.dtype).is_integer
    length = _NUM_TOKENS if is_whole else _NUM_SAMPLES
    shape = (_NUM_EXAMPLES, *(length if size is None else size for size in given.shape[1:]))
    if is_whole:
        return tf.ones(shape, given.dtype)
    return tf.constant(np.random.default_rng(0).uniform(size=shape).astype(np.float32))


def _is_foreign(layer: keras.Layer) -> bool:
    """Tell whether a layer may do anything: it is not Keras's own, or runs foreign code."""
    if isinstance(layer, keras.layers.Lambda | keras.layers.TFSMLayer):
        return True
    is_known = type(layer).__module__.startswith("keras.") or isinstance(layer, PixelScaling)
    return not is_known


def _find_stateful(graph: Any) -> list[str]:
    """Find the scopes of ops that draw numbers or write, in a graph and its functions."""
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    found = [node.name for node in nodes if node.op not in _QUIET and _is_stateful(node.op)]
    # The last part of an op's name is the op itself, the rest the scope of its layer.
    return list(dict.fromkeys(name.rpartition("/")[0] or name for name in found))


def _is_stateful(op: str) -> bool:
    definition = op_def_registry.get(op)
    # Functions of the graph itself are unknown here; their ops are inspected separately.
    return definition is not None and bool(definition.is_stateful)


def _describe_random(name: str, culprits: list[str], moved: list[str]) -> str:
    states = f"; changed variables: {_list(moved)}" if moved else ""
    return (
        f"backbone.name: {name!r} is random at inference: two calls with the same examples gave "
        f"different numbers. Random or stateful layers: {_list(culprits)}"
        f"{states}. Features, validation and served answers would differ from call to call. "
        f"{_REMEDY}"
    )


def _describe_moved(name: str, culprits: list[str], moved: list[str]) -> str:
    count = "one of its variables" if len(moved) == 1 else f"{len(moved)} of its variables"
    return (
        f"backbone.name: {name!r} changes {count} whenever it is called, even at inference: "
        f"{_list(moved)}, in {_list(culprits)}. A frozen backbone must not change. {_REMEDY}"
    )


def _list(names: Iterable[str]) -> str:
    quoted = [repr(name) for name in names]
    more = [f"and {len(quoted) - _MAX_NAMES} more"] if len(quoted) > _MAX_NAMES else []
    return ", ".join([*quoted[:_MAX_NAMES], *more])
