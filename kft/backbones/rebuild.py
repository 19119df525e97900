"""Rebuilt copies of a saved model: without its top, at another size, with random weights."""

from __future__ import annotations

from pathlib import Path

import keras

from kft.backbones.graph import Graph
from kft.backbones.hub import HubLayer
from kft.errors import BackboneError, first_line


def without_top(model: keras.Model, path: Path) -> tuple[keras.Model, list[str]]:
    """Cut a model after its last feature map; return it with the names of the dropped layers.

    The top begins with the global pooling (or flattening) on every path. Poolings of
    squeeze-and-excitation lie on side paths and are kept.

    Raises:
        BackboneError: The model has no feature map on every path.
    """
    graph = Graph(model)
    top = (
        keras.layers.GlobalAveragePooling2D,
        keras.layers.GlobalMaxPooling2D,
        keras.layers.Flatten,
    )
    end = None
    for cut in graph.cuts():
        if isinstance(graph.steps[graph.position(cut)].operation, top):
            break
        if len(cut.shape) == 4 and graph.position(cut) > 0:
            end = cut
    if end is None:
        raise BackboneError(
            f"{path} has no feature map (batch, height, width, channels) on every path, so kft "
            "cannot attach a head. Save the model without its top."
        )
    if end is model.outputs[0]:
        return model, []
    kept = graph.ancestors(end)
    dropped = [step.operation.name for i, step in enumerate(graph.steps) if i not in kept]
    return keras.Model(model.inputs[0], end, name=model.name), dropped


def reinitialised(model: keras.Model) -> keras.Model:
    """Copy a model with random weights, seeded by `keras.utils.set_random_seed`.

    `Normalization` layers keep their statistics, which are preprocessing rather than learned.

    Raises:
        BackboneError: The model holds a SavedModel, which has no initializers.
    """
    if any(isinstance(layer, HubLayer) for layer in model.layers):
        raise BackboneError(
            "backbone.weights: 'random' is not possible for a SavedModel: its graph comes with "
            "its own weights and has no initializers."
        )
    fresh = keras.models.clone_model(model)
    for old, new in zip(model.layers, fresh.layers, strict=True):
        if isinstance(old, keras.layers.Normalization):
            new.set_weights(old.get_weights())
            new.finalize_state()
    return fresh


def with_size(model: keras.Model, size: int | None) -> keras.Model:
    """Copy a model for inputs of `size` x `size` pixels, with the same weights.

    Raises:
        BackboneError: The layers do not allow that size.
    """
    if size is None or model.input_shape[1:3] == (size, size):
        return model
    try:
        inputs = keras.Input((size, size, model.input_shape[3]), name="pixels")
        resized = keras.models.clone_model(model, input_tensors=inputs)
        resized.set_weights(model.get_weights())
    except (ValueError, TypeError) as error:
        raise BackboneError(
            f"backbone.input_size: {size} is not possible for {model.name!r}, saved for "
            f"{model.input_shape[1]}: {first_line(error)}"
        ) from error
    return resized
