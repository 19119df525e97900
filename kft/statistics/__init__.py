"""Intervals of shares, resampled and ranking figures and differences; similarity of features."""

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
from kft.statistics.similarity import linear_cka

__all__ = [
    "Difference",
    "Ranking",
    "bootstrap_intervals",
    "describe_ends",
    "linear_cka",
    "paired_mean",
    "paired_proportions",
    "rank_columns",
    "wilson_interval",
    "wilson_intervals",
]
