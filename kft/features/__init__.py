"""The frozen prefix: where to cut, what computes it, the store on disk."""

from __future__ import annotations

from kft.features.choice import Chosen, choose_engine
from kft.features.cut import Cut, find_cut
from kft.features.engines import Forward
from kft.features.judging import Judge
from kft.features.store import Stored, check_store, fits_store, limit_bytes, load_or_extract
from kft.features.together import Together

__all__ = [
    "Chosen",
    "Cut",
    "Forward",
    "Judge",
    "Stored",
    "Together",
    "check_store",
    "choose_engine",
    "find_cut",
    "fits_store",
    "limit_bytes",
    "load_or_extract",
]
