"""The plan of a run before training: rows of blocks, forecast of duration, risks."""

from __future__ import annotations

from kft.planning.block_rows import BlockRow, describe_blocks
from kft.planning.forecast import PhaseForecast, forecast_phases
from kft.planning.risks import find_risks

__all__ = ["BlockRow", "PhaseForecast", "describe_blocks", "find_risks", "forecast_phases"]
