"""A backbone from a file must answer the same twice, and leave its own variables alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from kft.errors import BackboneError, first_line
from kft.modalities.image.scaling import PixelScaling

# Ops that TensorFlow counts as stateful, and that neither draw nor write.
_QUIET = (
    "ReadVariableOp",
    "VarHandleOp",
    "StatefulPartitionedCall",
    "If",
    "While",
    "Case",
    "Assert",
)
# Enough that layers which draw for each picture do not draw the same twice by chance.
_NUM_PICTURES = 8
# Of the largest number; what the order of sums may do is far below, an augmentation far above.
_TOLERANCE = 1e-5
_MOST_NAMES = 5
_REMEDY = (
    "Save the model without that layer (kft augments by `data.image.augmentation`), or such that "
    "the layer is called with `training=False`."
)


def check_repeatable(model: keras.Model, name: str) -> None:
    """Refuse a model that is random at inference, or that changes itself.

    Stored features, validation and served answers would each see another model. Layers of Keras
    are quiet where the whole model is called with `training=False`, and so is a graph without an
    op that draws or writes: only what is left is run, twice.

    Args:
        model: (batch, height, width, 3) -> features; its height and width are known.
        name: By which the user knows it.

    Raises:
        BackboneError: It names the layers, the variables and the remedy.
    """
    if not any(_is_foreign(layer) for layer in model._flatten_layers()):
        return
    shape = (_NUM_PICTURES, *model.input_shape[1:])
    forward = tf.function(lambda pixels: model(pixels, training=False), autograph=False)
    graph = forward.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    culprits = _find_stateful(graph.graph.as_graph_def())
    if not culprits:
        return
    pixels = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    before = [variable.numpy() for variable in graph.variables]
    try:
        first, second = (graph(tf.constant(pixels)).numpy() for _ in range(2))
    except tf.errors.OpError as error:
        raise BackboneError(f"{name!r} cannot be run: {first_line(error)}") from error
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


def _is_foreign(layer: keras.Layer) -> bool:
    """Whether a layer may do anything: it is not Keras's own, or runs code of others."""
    if isinstance(layer, keras.layers.Lambda | keras.layers.TFSMLayer):
        return True
    is_known = type(layer).__module__.startswith("keras.") or isinstance(layer, PixelScaling)
    return not is_known


def _find_stateful(graph: Any) -> list[str]:
    """Scopes of the ops of a graph, and of the functions that it calls, that draw or write."""
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    found = [node.name for node in nodes if node.op not in _QUIET and _is_stateful(node.op)]
    # An op is named after itself, within the scope of its layer.
    return list(dict.fromkeys(name.rpartition("/")[0] or name for name in found))


def _is_stateful(op: str) -> bool:
    definition = op_def_registry.get(op)
    # Unknown are the functions of the graph itself, whose ops are looked at anyway.
    return definition is not None and bool(definition.is_stateful)


def _describe_random(name: str, culprits: list[str], moved: list[str]) -> str:
    states = f"; the variables that moved are {_list(moved)}" if moved else ""
    return (
        f"backbone.name: {name!r} is random at inference: called twice with the same pictures, it "
        f"gave different numbers. What draws at random or changes its state is {_list(culprits)}"
        f"{states}. Features, validation and served answers would differ from call to call. "
        f"{_REMEDY}"
    )


def _describe_moved(name: str, culprits: list[str], moved: list[str]) -> str:
    count = "one of its variables" if len(moved) == 1 else f"{len(moved)} of its variables"
    return (
        f"backbone.name: {name!r} changes {count} whenever it is called, at inference too: "
        f"{_list(moved)}, by {_list(culprits)}. A frozen backbone must stay as it is. {_REMEDY}"
    )


def _list(names: Iterable[str]) -> str:
    quoted = [repr(name) for name in names]
    more = [f"and {len(quoted) - _MOST_NAMES} more"] if len(quoted) > _MOST_NAMES else []
    return ", ".join([*quoted[:_MOST_NAMES], *more])
