"""The fastest settings for a machine and a model: timed once, remembered, put in place of `auto`.

Nothing here imports TensorFlow: the timing happens in a process of its own.
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
    """Whether a run of this length gains more than a benchmark costs.

    A benchmark takes half a minute and gains a few tenths at best, so it pays in runs over 20
    minutes; a short run takes the defaults.
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
