"""Digest of the function that a model computes."""

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
    """SHA-256 in hexadecimal of a model's graph, its weights and the versions that run it.

    The digest is equal for the same model built again elsewhere. Two backbones of one name differ.
    """
    digest = hashlib.sha256(_describe_versions().encode())
    digest.update(_describe_graph(model).encode())
    for layer in flatten_layers(model):
        if isinstance(layer, HubLayer):
            # The description holds a module's path only.
            digest.update((layer.folder / "saved_model.pb").read_bytes())
    # Weights rather than variables: random generators do not matter in inference mode.
    for variable in model.weights:
        values = variable.numpy()
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _describe_versions() -> str:
    """List the versions of the packages whose layers a model may hold."""
    try:
        keras_hub = importlib.metadata.version("keras-hub")
    except importlib.metadata.PackageNotFoundError:
        keras_hub = "not installed"
    return f"{__version__}\n{tf.__version__}\n{keras.__version__}\n{keras_hub}\n"


def _describe_graph(model: keras.Model) -> str:
    """Describe a model's layers and calls, with positions in place of automatic layer names."""
    ordinals = {layer.name: f"#{i}" for i, layer in enumerate(flatten_layers(model))}
    return re.sub(
        r'"([^"]*)"', lambda quoted: f'"{ordinals.get(quoted[1], quoted[1])}"', model.to_json()
    )
