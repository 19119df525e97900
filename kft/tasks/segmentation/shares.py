"""Shares of the classes in a mask, in a few words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MOST_NAMES = 4


def find_largest(shares: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Find the largest shares of a mask, at most four, by name."""
    largest = np.argsort(-shares, kind="stable")[:_MOST_NAMES]
    return {names[place]: float(shares[place]) for place in largest if shares[place] > 0}
