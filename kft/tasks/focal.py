"""Factor of the focal loss."""

from __future__ import annotations

from typing import Any

from keras import ops

# The gradient of x**gamma is infinite at 0 if gamma is below 1.
LEAST_DOUBT = 1e-7


def focal_factor(log_probabilities: Any, gamma: float) -> Any:
    """Compute (1 - p)**gamma from log p, which is small for examples that are predicted well.

    Source: Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002.
    """
    # expm1 keeps precision near p = 1, where 1 - exp(log p) loses it.
    return ops.power(ops.maximum(-ops.expm1(log_probabilities), LEAST_DOUBT), gamma)
