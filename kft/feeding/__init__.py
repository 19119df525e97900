"""Phase -> the batches that it is fitted on, decoded or stored."""

from __future__ import annotations

from kft.feeding.inputs import InputMaker

__all__ = ["InputMaker"]
