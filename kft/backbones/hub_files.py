"""Files of SavedModels: found in a folder, or fetched with tensorflow_hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from kft.backbones.weights import socket_timeout
from kft.errors import BackboneError, first_line


def locate_module(handle: str) -> Path:
    """Find the folder of a SavedModel, fetching a URL with tensorflow_hub.

    Raises:
        BackboneError: The folder holds no SavedModel, or the URL cannot be fetched.
    """
    if "://" in handle:
        return _fetch(handle)
    path = Path(handle).expanduser()
    if not (path / "saved_model.pb").is_file():
        raise BackboneError(
            f"backbone.name: {handle!r} is neither a folder with a saved_model.pb nor a URL. Give "
            "`hub:FOLDER` with the unpacked module, or `hub:https://…`."
        )
    return path


def _fetch(handle: str) -> Path:
    """Fetch a module with tensorflow_hub; return the folder it is unpacked into."""
    try:
        import tensorflow_hub

        with socket_timeout():
            return Path(tensorflow_hub.resolve(handle))
    except Exception as error:  # errors of urllib and tarfile pass through
        raise BackboneError(
            f"backbone.name: {handle} cannot be fetched: {first_line(error)} Without a network, "
            "unpack the module into a folder and give `hub:FOLDER`, or fill TFHUB_CACHE_DIR."
        ) from error


def load_module(folder: Path) -> Any:
    """Load a SavedModel.

    Raises:
        BackboneError: The SavedModel is damaged.
    """
    try:
        # Of TF1's format, which holds a graph for training too: the one without tags.
        tags: list[str] | None = [] if (folder / "tfhub_module.pb").is_file() else None
        return tf.saved_model.load(str(folder), tags)
    except Exception as error:  # protocol buffers, files and TensorFlow each raise their own
        raise BackboneError(
            f"{folder} cannot be read as a SavedModel: {first_line(error)}"
        ) from error
