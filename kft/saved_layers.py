"""The layers of kft's own that a saved model may hold, known to Keras as soon as kft is imported.

Keras rebuilds a layer only if it is registered, which importing its module does. That would load
TensorFlow with kft. So Keras is given a stand-in for each layer, which imports it when a model
is read.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SAVED_LAYERS: Mapping[str, str] = {
    "kft>PixelScaling": "kft.modalities.image.scaling:PixelScaling",
    "kft>HubLayer": "kft.backbones.hub:HubLayer",
    "kft>HubBlock": "kft.backbones.hub:HubBlock",
}
"""Name under which Keras registers a layer -> its module and class."""


def announce_layers() -> None:
    """Register the stand-ins: now if Keras is imported already, else right after it is."""
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def _register(keras: ModuleType) -> None:
    known = keras.saving.get_custom_objects()
    for name, place in SAVED_LAYERS.items():
        # The layer itself takes the place of its stand-in when its module is imported.
        known.setdefault(name, _StandIn(place))


class _StandIn:
    """What Keras asks to rebuild a layer, in place of the class."""

    def __init__(self, place: str) -> None:
        self._place = place

    def from_config(self, config: dict[str, Any]) -> Any:
        module, _, name = self._place.partition(":")
        return getattr(importlib.import_module(module), name).from_config(config)


class _KerasFinder:
    """Finds Keras as the other finders do, and has the stand-ins registered once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register(module)

            # The loader stays what it is, for all else that asks it.
            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
