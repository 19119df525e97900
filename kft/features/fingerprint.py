"""What a model computes, as a digest."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re

import keras
import tensorflow as tf

from kft import __version__
from kft.backbones.hub import HubLayer
from kft.model import flatten_layers


def digest_model(model: keras.Model) -> str:
    """Hex digest of a model's graph, its weights and the versions that run it.

    Equal for the same model built again in another place; two backbones with one name differ.
    """
    digest = hashlib.sha256(_describe_versions().encode())
    digest.update(_describe_graph(model).encode())
    for layer in flatten_layers(model):
        if isinstance(layer, HubLayer):
            # Of a module the description says where it is, and no more.
            digest.update((layer.folder / "saved_model.pb").read_bytes())
    # Weights, not variables: the state of a random generator decides nothing in inference.
    for variable in model.weights:
        values = variable.numpy()
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _describe_versions() -> str:
    """Of all whose layers a model may hold: what one computes may change with its package."""
    try:
        keras_hub = importlib.metadata.version("keras-hub")
    except importlib.metadata.PackageNotFoundError:
        keras_hub = "not installed"
    return f"{__version__}\n{tf.__version__}\n{keras.__version__}\n{keras_hub}\n"


def _describe_graph(model: keras.Model) -> str:
    """A model's layers and calls, without the names that depend on what was built before it."""
    ordinals = {layer.name: f"#{i}" for i, layer in enumerate(flatten_layers(model))}
    return re.sub(
        r'"([^"]*)"', lambda quoted: f'"{ordinals.get(quoted[1], quoted[1])}"', model.to_json()
    )
