"""Inference mode for frozen layers while the others train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras


@contextmanager
def frozen_inference(model: keras.Model) -> Iterator[None]:
    """Trace frozen layers in inference mode within the block.

    Keras's `trainable` freezes batch statistics, but neither dropout nor stochastic depth. A
    frozen prefix would then compute other features in every step, instead of those that are
    stored once and served.

    Args:
        model: Model with its `trainable` flags set.
    """
    with replaced_calls({layer: partial(_call_frozen, layer.call) for layer in _find(model)}):
        yield


def _find(model: keras.Model) -> list[keras.layers.Layer]:
    """Find frozen layers with a `training` argument that no outer block has replaced."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        # The layers of nested models are listed themselves, and may be frozen only in part. Keras
        # handles frozen batch statistics itself.
        if not isinstance(layer, (keras.Model, keras.layers.BatchNormalization))
        and not layer.trainable
        and "training" in layer.call_signature_parameters
        and not is_replaced(layer)
    ]


def _call_frozen(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    return call(*given, **{**named, "training": False})


@contextmanager
def replaced_calls(calls: Mapping[keras.layers.Layer, Callable[..., Any]]) -> Iterator[None]:
    """Replace the `call` of layers by these functions within the block."""
    try:
        for layer, call in calls.items():
            # Setting the attribute in the usual way would make Keras track the function.
            vars(layer)["call"] = call
        yield
    finally:
        for layer in calls:
            vars(layer).pop("call", None)


def is_replaced(layer: keras.layers.Layer) -> bool:
    """Tell whether an outer block has replaced the `call` of the layer."""
    return "call" in vars(layer)
