"""Weights of classes by their numbers of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def count_boxes(targets: np.ndarray, num_names: int) -> np.ndarray:
    """Count the boxes of each class, int64 (names,).

    Args:
        targets: Targets (examples, boxes, 5).
        num_names: Number of classes.
    """
    codes = targets[..., 0]
    return np.bincount(codes[codes >= 0].astype(np.int64), minlength=num_names)


def balanced_weights(names: Sequence[str], targets: np.ndarray) -> tuple[float, ...]:
    """Compute weights with which the boxes of all classes count alike, with a mean of 1 per box.

    Args:
        names: Name of each class.
        targets: Training targets (examples, boxes, 5).
    """
    counts = count_boxes(targets, len(names))
    # A class may have a name but no training example.
    weights = counts.sum() / (len(names) * np.maximum(counts, 1))
    return tuple(weights.tolist())
