"""Rows of the linear problem whose optimum is a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LinearRows:
    """Rows of a linear problem.

    Attributes:
        vectors: Feature vectors (rows, features).
        targets: Targets of the rows.
        units: Unit of each row, which cross-validation leaves out whole; None if each stands alone.
        num_available: Number of rows that these were sampled from; None if they are all.
    """

    vectors: np.ndarray
    targets: np.ndarray
    units: np.ndarray | None = None
    num_available: int | None = None

    def describe(self) -> str:
        """Say that the rows are a sample; empty if they are all."""
        if self.num_available is None:
            return ""
        return f"; {len(self.vectors):,} of {self.num_available:,} places, sampled"

    def facts(self) -> dict[str, int]:
        """Return JSON values for phase.json; empty if the rows are all."""
        if self.num_available is None:
            return {}
        return {"num_rows": len(self.vectors), "num_available_rows": self.num_available}
