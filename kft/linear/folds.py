"""Folds of cross-validation: examples that are left out together."""

from __future__ import annotations

import numpy as np

from kft.linear.losses import LinearLoss, LinearTargets

NUM_FOLDS = 5


def assign_folds(
    targets: LinearTargets, loss: LinearLoss, seed: int, num_folds: int = NUM_FOLDS
) -> np.ndarray:
    """Assign each example to a fold, (examples,), with classes spread evenly over the folds.

    All examples of a group get the same fold, unless there is only one group. With fewer examples
    or groups than folds, there are fewer folds.
    """
    if targets.groups is not None and len(np.unique(targets.groups)) > 1:
        return _assign_groups(targets, targets.groups, loss, seed, num_folds)
    order = _shuffle_by_class(targets, loss, seed)
    folds = np.empty(len(targets), np.int64)
    folds[order] = np.arange(len(targets)) % min(num_folds, len(targets))
    return folds


def hold_out(targets: LinearTargets, loss: LinearLoss, seed: int) -> np.ndarray:
    """Hold out a random part of the examples, as large as a fold: 0 if held out, else -1.

    At least one example of each class is not held out, because a solution that has not seen a
    class cannot predict it. Of groups, a fold of `assign_folds` is held out.

    Returns:
        Parts, int64 (examples,).
    """
    if targets.groups is not None:
        return np.where(assign_folds(targets, loss, seed) == 0, 0, -1)
    order = np.random.default_rng(seed).permutation(len(targets))
    count = max(1, len(targets) // NUM_FOLDS)
    classes = loss.find_classes(targets.dense)
    if classes is not None:
        _, first = np.unique(classes[order], return_index=True)
        spare = np.delete(order, first)
        order = spare if len(spare) else order
    parts = np.full(len(targets), -1, np.int64)
    parts[order[:count]] = 0
    return parts


def find_seen(classes: np.ndarray | None, folds: np.ndarray) -> np.ndarray:
    """Tell for each example that a fold left out whether its class occurs outside of the fold.

    A head that has not seen a class cannot predict it, so such an answer says nothing about the
    head.

    Args:
        classes: Class of each example, int64 (examples,); None without classes.
        folds: Fold (examples,) that left each example out; -1 for none.

    Returns:
        Booleans (examples,); false for examples that no fold left out.
    """
    if classes is None:
        return folds >= 0
    seen = np.zeros(len(folds), bool)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        seen[held] = np.isin(classes[held], classes[~held])
    return seen


def sample_rows(targets: LinearTargets, loss: LinearLoss, seed: int, count: int) -> np.ndarray:
    """Choose `count` rows, with classes in proportion, in ascending order; all if not more."""
    if len(targets) <= count:
        return np.arange(len(targets))
    order = _shuffle_by_class(targets, loss, seed)
    return np.sort(order[np.linspace(0, len(targets) - 1, count).astype(int)])


def _shuffle_by_class(targets: LinearTargets, loss: LinearLoss, seed: int) -> np.ndarray:
    """Shuffle the rows and sort them by class, so that dealing them in turn spreads the classes."""
    order = np.random.default_rng(seed).permutation(len(targets))
    classes = loss.find_classes(targets.dense)
    return order if classes is None else order[np.argsort(classes[order], kind="stable")]


def _assign_groups(
    targets: LinearTargets, labels: np.ndarray, loss: LinearLoss, seed: int, num_folds: int
) -> np.ndarray:
    """Assign whole groups, largest first, each to the fold with the fewest of its classes."""
    classes = loss.find_classes(targets.dense)
    classes = np.zeros(len(targets), np.int64) if classes is None else classes
    _, groups = np.unique(labels, return_inverse=True)
    counts = np.zeros((groups.max() + 1, classes.max() + 1), np.int64)
    np.add.at(counts, (groups, classes), 1)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    held = np.zeros((min(num_folds, len(counts)), counts.shape[1]), np.int64)
    fold_of = np.empty(len(counts), np.int64)
    for group in order:
        # Of folds with equally few of its classes, the smallest.
        fold = np.lexsort((held.sum(axis=1), held @ counts[group]))[0]
        fold_of[group] = fold
        held[fold] += counts[group]
    return fold_of[groups]
