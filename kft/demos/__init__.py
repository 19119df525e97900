"""Demonstrations of the main job, for each modality, on data that kft or a dependency brings."""

from __future__ import annotations

from kft.demos.demonstration import Comparison, Demo, Demonstration, Place, run_demo
from kft.registry import Registry

DEMOS = Registry(
    "demo",
    {
        "image": "kft.demos.pictures:PictureDemonstration",
        "text": "kft.demos.texts:TextDemonstration",
        "audio": "kft.demos.recordings:RecordingDemonstration",
        "video": "kft.demos.videos:VideoDemonstration",
    },
)

__all__ = ["DEMOS", "Comparison", "Demo", "Demonstration", "Place", "run_demo"]
