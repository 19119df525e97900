"""Frozen layers compute as they do at inference, while the others train."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras


@contextmanager
def frozen_at_rest(model: keras.Model) -> Iterator[None]:
    """What is traced inside drops nothing in frozen layers, and draws no numbers in them.

    Keras's `trainable` stills batch statistics, but not dropout or stochastic depth: a frozen
    prefix would give other features in every step than those that are stored once, and that
    are served.

    Args:
        model: Its `trainable` flags set.
    """
    with replaced_calls({layer: partial(_call_at_rest, layer.call) for layer in _find(model)}):
        yield


def _find(model: keras.Model) -> list[keras.layers.Layer]:
    """Frozen layers that tell training from inference, those of a nested `fit` aside."""
    return [
        layer
        for layer in model._flatten_layers(include_self=False)
        # Models are more than a block, whose parts are here too; batch statistics are Keras's own.
        if not isinstance(layer, (keras.Model, keras.layers.BatchNormalization))
        and not layer.trainable
        and "training" in layer.call_signature_parameters
        and not is_replaced(layer)
    ]


def _call_at_rest(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    return call(*given, **{**named, "training": False})


@contextmanager
def replaced_calls(calls: Mapping[keras.layers.Layer, Callable[..., Any]]) -> Iterator[None]:
    """Within the block, layers compute by these functions in place of their own `call`."""
    try:
        for layer, call in calls.items():
            # Keras would track what is set by the usual way.
            vars(layer)["call"] = call
        yield
    finally:
        for layer in calls:
            vars(layer).pop("call", None)


def is_replaced(layer: keras.layers.Layer) -> bool:
    """Whether a block further out computes the layer by another function than its own."""
    return "call" in vars(layer)
