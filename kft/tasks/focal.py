"""The factor by which a cross-entropy turns to what is answered badly."""

from __future__ import annotations

from typing import Any

from keras import ops

# The gradient of x**gamma has no limit at 0 where gamma is below 1.
LEAST_DOUBT = 1e-7


def focal_factor(log_probabilities: Any, gamma: float) -> Any:
    """(1 - p)**gamma of log p: little for what is answered well already.

    Source: Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002.
    """
    # expm1 keeps the digits that 1 - exp(log p) loses near p = 1.
    return ops.power(ops.maximum(-ops.expm1(log_probabilities), LEAST_DOUBT), gamma)
