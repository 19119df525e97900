"""Intervals of shares, resampled and ranking figures and differences; temperatures; CKA."""

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
from kft.statistics.temperature import (
    apply_temperature,
    fit_temperature,
    log_probabilities,
)

__all__ = [
    "Difference",
    "Ranking",
    "apply_temperature",
    "bootstrap_intervals",
    "describe_ends",
    "fit_temperature",
    "linear_cka",
    "log_probabilities",
    "paired_mean",
    "paired_proportions",
    "rank_columns",
    "wilson_interval",
    "wilson_intervals",
]
