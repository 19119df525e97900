"""Phase -> the batches that it is fitted on, decoded or stored."""

from __future__ import annotations

from kft.feeding.feed import Feed
from kft.feeding.source import Source

__all__ = ["Feed", "Source"]
