"""Stratified folds that keep near duplicates together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NUM_FOLDS = 5


def deal_folds(
    classes: np.ndarray, *, seed: int = 0, alike: Sequence[Sequence[int]] = ()
) -> np.ndarray:
    """Assign a fold to each picture, int64 (pictures,), from 0 to NUM_FOLDS - 1.

    Args:
        classes: Class of each picture, int64 (pictures,).
        seed: Seed of the order within each class.
        alike: Sets of indices that go into the same fold, regardless of class.
    """
    order = np.random.default_rng(seed).permutation(len(classes))
    # Sorted by class, and assigned to the folds in turn.
    order = order[np.argsort(classes[order], kind="stable")]
    folds = np.empty(len(classes), np.int64)
    folds[order] = np.arange(len(classes)) % NUM_FOLDS
    for places in alike:
        folds[np.asarray(places)] = folds[places[0]]
    return folds
