"""The fastest settings for a model on a machine: timed once, recorded, and used for `auto`.

Nothing here imports TensorFlow: steps are timed in a separate process.
"""

from __future__ import annotations

from kft.timing.benchmark import benchmark
from kft.timing.record import (
    Measured,
    ResolvedSetting,
    Timing,
    apply_measured,
    describe_choices,
    find_record,
    load_measured,
)

WORTH_MEASURING_SECONDS = 20 * 60.0


def is_worth_measuring(forecast_seconds: float) -> bool:
    """Tell whether a benchmark would save more time in a run than it takes.

    A benchmark takes half a minute and saves a few tenths of a run at best, so it is worth its
    time in runs over 20 minutes. A short run uses the defaults.

    >>> is_worth_measuring(600.0), is_worth_measuring(7200.0)
    (False, True)
    """
    return forecast_seconds > WORTH_MEASURING_SECONDS


__all__ = [
    "Measured",
    "ResolvedSetting",
    "Timing",
    "apply_measured",
    "benchmark",
    "describe_choices",
    "find_record",
    "is_worth_measuring",
    "load_measured",
]
