"""Stored activations of one split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kft.features.selection import SelectedEngine
from kft.runs.entries import Entry


@dataclass(frozen=True, eq=False)
class Stored:
    """Stored activations of one split; the cache keeps their entry while this object lives.

    Attributes:
        activations: Memory-mapped arrays (views, examples, …) in the order of the split, by name
            of the crossing tensor. Floats are float32 or float16.
        was_cached: Whether the activations were in the cache already.
        selected: Engine that computed them.
    """

    activations: Mapping[str, np.ndarray]
    was_cached: bool
    selected: SelectedEngine
    _digest: str = field(repr=False)
    _entry: Entry = field(repr=False)

    @property
    def engine(self) -> str:
        """Name of the engine that computed the activations."""
        return self.selected.name

    @property
    def path(self) -> Path:
        """Folder of the cache entry."""
        return self._entry.path

    @property
    def dtype(self) -> str:
        """Type of the floats: 'float32' or 'float16'."""
        kinds = {each.dtype.name for each in self.activations.values() if each.dtype.kind == "f"}
        return "float16" if "float16" in kinds else "float32"
