"""Whether float16 keeps what float32 activations say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kft.features.judging import ACCURACY_LOSS, Judge

# Rounding to 11 bits makes an error of 2.8e-4 of each number. Where the numbers vary between
# examples as much as they are large that is lost in any probe; where they hardly vary around a
# large mean the error counts against the variation, and this is where it begins to.
_LARGEST_NOISE = 1e-3


@dataclass(frozen=True)
class Rounding:
    """What rounding to float16 does to activations.

    Attributes:
        noise: Its error (root of the mean square), relative to how the numbers vary between
            examples; infinite where one is too large for float16.
        accuracy_loss: Of a probe's cross-validated accuracy; None where nobody judged.
    """

    noise: float
    accuracy_loss: float | None = None

    @property
    def is_lossless(self) -> bool:
        """Whether a probe would not notice: as measured, else by the noise."""
        if not np.isfinite(self.noise):
            return False
        if self.accuracy_loss is not None:
            return self.accuracy_loss <= ACCURACY_LOSS
        return self.noise <= _LARGEST_NOISE


def to_float16(values: np.ndarray) -> np.ndarray | None:
    """The values in float16; None where one of them is too large for it."""
    rounded = _round(values)
    return rounded if np.array_equal(np.isfinite(rounded), np.isfinite(values)) else None


def _round(values: np.ndarray) -> np.ndarray:
    """The values in float16; infinite where one is too large for it."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16)


def measure_rounding(
    activations: np.ndarray, compute: Callable[[Any], np.ndarray], judge: Judge | None
) -> Rounding:
    """What float16 would lose.

    Args:
        activations: float32 (examples, …) of a batch.
        compute: A batch of inputs -> activations, for the inputs of the judge.
        judge: What says how accurate a probe is on activations.
    """
    rounded = to_float16(activations)
    if rounded is None:
        return Rounding(float("inf"))
    error = np.square(rounded.astype(np.float32) - activations).mean(dtype=np.float64)
    varied = np.square(activations - activations.mean(axis=0)).mean(dtype=np.float64)
    noise = float(np.sqrt(error / varied)) if varied > 0 else (0.0 if error == 0 else np.inf)
    if judge is None:
        return Rounding(noise)

    def compare(inputs: Any) -> tuple[np.ndarray, np.ndarray]:
        exact = compute(inputs)
        return exact, _round(exact).astype(np.float32)

    loss = judge.find_loss(compare)
    return Rounding(noise, float(loss)) if np.isfinite(loss) else Rounding(float("inf"))
