"""Registration of kft's own layers with Keras, as soon as kft is imported.

Keras rebuilds a layer of a saved model only if it is registered, which happens when the layer's
module is imported. Importing it with kft would load TensorFlow. Keras therefore gets a stand-in
for each layer, which imports the layer when a model is loaded.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SAVED_LAYERS: Mapping[str, str] = {
    "kft>LogMel": "kft.modalities.audio.front_end:LogMel",
    "kft>MelPicture": "kft.modalities.audio.front_end:MelPicture",
    "kft>WhisperLogMel": "kft.modalities.audio.front_end:WhisperLogMel",
    "kft>WaveformHubLayer": "kft.backbones.audio.hub_waveforms:WaveformHubLayer",
    "kft>FoldFrames": "kft.backbones.video.folding:FoldFrames",
    "kft>UnfoldFrames": "kft.backbones.video.folding:UnfoldFrames",
    "kft>FramePool": "kft.backbones.video.folding:FramePool",
    "kft>PixelScaling": "kft.modalities.image.scaling:PixelScaling",
    "kft>WavePositions": "kft.backbones.text.positions:WavePositions",
    "kft>BlockStatistics": "kft.tasks.block_statistics:BlockStatistics",
    "kft>ResizedMap": "kft.tasks.segmentation.decoders:ResizedMap",
    "kft>BoxDecoder": "kft.tasks.detection.points:BoxDecoder",
    "kft>HubLayer": "kft.backbones.hub:HubLayer",
    "kft>HubTextLayer": "kft.backbones.text.hub_encoder:HubTextLayer",
    "kft>ClipHubLayer": "kft.backbones.video.hub_clips:ClipHubLayer",
    "kft>HubBlock": "kft.backbones.hub:HubBlock",
}
"""Module and class of each layer, by the name under which Keras registers it."""


def announce_layers() -> None:
    """Register the stand-ins: now if Keras is already imported, else right after its import."""
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


def _register(keras: ModuleType) -> None:
    known = keras.saving.get_custom_objects()
    for name, place in SAVED_LAYERS.items():
        # Importing a layer's module replaces the stand-in by the layer.
        known.setdefault(name, _StandIn(place))


class _StandIn:
    """Stand-in for a layer's class, from which Keras rebuilds the layer."""

    def __init__(self, place: str) -> None:
        self._place = place

    def from_config(self, config: dict[str, Any]) -> Any:
        module, _, name = self._place.partition(":")
        return getattr(importlib.import_module(module), name).from_config(config)


class _KerasFinder:
    """Import finder that registers the stand-ins once Keras is loaded."""

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

            # The loader object itself is kept, for other code that inspects it.
            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
