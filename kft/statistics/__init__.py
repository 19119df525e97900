"""Confidence intervals: of shares, of resampled and ranking figures, of differences of models."""

from __future__ import annotations

from kft.statistics.bootstrap import bootstrap_intervals, describe_ends
from kft.statistics.intervals import (
    Difference,
    paired_mean,
    paired_proportions,
    wilson_interval,
    wilson_intervals,
)
from kft.statistics.ranking import Ranking, rank_columns

__all__ = [
    "Difference",
    "Ranking",
    "bootstrap_intervals",
    "describe_ends",
    "paired_mean",
    "paired_proportions",
    "rank_columns",
    "wilson_interval",
    "wilson_intervals",
]
