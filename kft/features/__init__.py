"""The frozen prefix: where to cut, extraction, the store on disk."""

from __future__ import annotations

from kft.features.cut import Cut, find_cut
from kft.features.store import Stored, load_or_extract

__all__ = ["Cut", "Stored", "find_cut", "load_or_extract"]
