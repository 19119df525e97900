"""The frozen prefix of a model: the cut, the engine that computes it, the store on disk."""

from __future__ import annotations

from kft.features.cut import Cut, find_cut
from kft.features.engines import OUTPUT, Forward
from kft.features.layout import limit_bytes
from kft.features.selection import SelectedEngine, select_engine
from kft.features.shared_extraction import SharedExtraction
from kft.features.store import check_store, fits_store, load_or_extract
from kft.features.stored import Stored

__all__ = [
    "OUTPUT",
    "Cut",
    "Forward",
    "SelectedEngine",
    "SharedExtraction",
    "Stored",
    "check_store",
    "find_cut",
    "fits_store",
    "limit_bytes",
    "load_or_extract",
    "select_engine",
]
