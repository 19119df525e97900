"""Outputs of an export that the parity check compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# float32 results differ between batch sizes and graph rewrites by a few units in the last place.
TOLERANCE = 1e-5
# bfloat16 has 8 bits of precision, and XLA and eager execution round at different places.
LOW_PRECISION_TOLERANCE = 5e-2


@dataclass(frozen=True)
class ComparedOutput:
    """Output of an export that must equal that of the trained model.

    Attributes:
        name: Name in the signature.
        units: Unit of differences, for each column.
        tolerance: Largest allowed difference, in these units.
        low_precision_tolerance: Largest allowed difference if the model computes in a precision
            below float32.
        measure: Function from served and expected values (examples, …) to the difference of each
            example; None for the largest difference in these units.
    """

    name: str
    units: tuple[float, ...]
    tolerance: float = TOLERANCE
    low_precision_tolerance: float = LOW_PRECISION_TOLERANCE
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
