"""Feeding: the batches of each phase, from decoded examples or stored activations."""

from __future__ import annotations

from kft.feeding.feed import Feed
from kft.feeding.source import Source

__all__ = ["Feed", "Source"]
