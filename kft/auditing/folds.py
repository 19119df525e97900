"""Folds of pictures: classes spread evenly, and what looks the same on one side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NUM_FOLDS = 5


def deal_folds(
    classes: np.ndarray, *, seed: int = 0, alike: Sequence[Sequence[int]] = ()
) -> np.ndarray:
    """Fold of each picture, int64 (pictures,), from 0 to NUM_FOLDS - 1.

    Args:
        classes: Class of each, int64 (pictures,).
        seed: Of the order in which those of a class are dealt out.
        alike: Sets of positions that go into one fold, whatever their classes.
    """
    order = np.random.default_rng(seed).permutation(len(classes))
    # Sorted by class and dealt out in turn.
    order = order[np.argsort(classes[order], kind="stable")]
    folds = np.empty(len(classes), np.int64)
    folds[order] = np.arange(len(classes)) % NUM_FOLDS
    for places in alike:
        folds[np.asarray(places)] = folds[places[0]]
    return folds
