"""Choices that depend on the machine: measured once, remembered, put in place of `auto`.

Nothing here imports TensorFlow: what is remembered is read before it starts, since the number
of its threads can be set only then. The measuring itself happens in processes of its own.
"""

from __future__ import annotations

from kft.measuring.measuring import measure
from kft.measuring.record import (
    Choice,
    Measured,
    Trial,
    apply_measured,
    describe_choices,
    find_record,
    load_measured,
)

WORTH_MEASURING_SECONDS = 20 * 60.0


def is_worth_measuring(forecast_seconds: float) -> bool:
    """Whether a run of this length gains more than measuring costs.

    Measuring takes half a minute and gains a few tenths at best, so it pays in
    runs over 20 minutes; a short run takes the defaults.
    """
    return forecast_seconds > WORTH_MEASURING_SECONDS


__all__ = [
    "Choice",
    "Measured",
    "Trial",
    "apply_measured",
    "describe_choices",
    "find_record",
    "is_worth_measuring",
    "load_measured",
    "measure",
]
