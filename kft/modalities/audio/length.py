"""How many seconds of each recording the model hears: decided over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kft.examples import Calibration
from kft.modalities.audio.inspection import CheckedRecording
from kft.modalities.checked import TrainedCalibration

# Where the data decide: so many of the recordings are heard whole.
_COVERED_PERCENT = 95
_MOST_SECONDS = 10.0
# Seconds are rounded up to these.
_STEP = 0.1


def find_length(
    checked: Sequence[CheckedRecording],
    seconds: float | Literal["auto"],
    trained: TrainedCalibration | None,
) -> Calibration:
    """Decide the seconds that are heard.

    Args:
        checked: The recordings that are used.
        seconds: As set; 'auto' lets the data decide.
        trained: What the model that is to hear them knows; None where there is none yet.
    """
    lengths = np.array([each.seconds for each in checked])
    if trained is not None:
        value, origin = float(trained.value), "as trained"
    elif seconds != "auto":
        value, origin = seconds, "as set"
    else:
        covering = float(np.percentile(lengths, _COVERED_PERCENT)) if len(lengths) else 1.0
        value = min(round(_STEP * np.ceil(covering / _STEP - 1e-6), 1), _MOST_SECONDS)
        origin = f"covers {_COVERED_PERCENT} %" if value < _MOST_SECONDS else "the most by default"
    num_longer = int((lengths > value).sum())
    if num_longer:
        origin += f"; {num_longer:,} of {len(lengths):,} are longer, of which parts are heard"
    return Calibration("Seconds heard", value, origin)
