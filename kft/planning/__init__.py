"""Before training: forecast of cost, and risks."""

from __future__ import annotations

from kft.planning.forecast import PhaseForecast, forecast_phases
from kft.planning.risks import find_risks

__all__ = ["PhaseForecast", "find_risks", "forecast_phases"]
