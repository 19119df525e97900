"""Results of a source, made by hand."""

from __future__ import annotations

import numpy as np

from kft.data.found import Found
from kft.examples import SPLIT_NAMES, Examples, Files
from kft.tasks import find_task


def make_found(targets, *, ids=None, order=None, given=None, groups=None, times=None) -> Found:
    """Make examples with these targets, in the order of `order`.

    Whole numbers are classes, rows of 0 and 1 labels, rows of other numbers numbers.
    """
    targets = np.asarray(targets)
    order = list(range(len(targets)) if order is None else order)
    kind = "class"
    if targets.ndim == 2:
        kind = "labels" if np.isin(targets, (0, 1)).all() else "number"
        targets = targets.astype(np.float32)
    # Zeros in front, so that the order of the names is that of the numbers.
    ids = [f"{i:05d}" for i in range(len(targets))] if ids is None else ids

    def reorder(values):
        return None if values is None else tuple(values[i] for i in order)

    paths = tuple(f"/data/{ids[i]}" for i in order)
    return Found(
        examples=Examples(reorder(ids), Files(paths), targets[order]),
        given_splits=reorder(given),
        task=find_task(kind),
        class_names=tuple(
            f"class{i}" for i in range(targets.shape[1] if targets.ndim == 2 else targets.max() + 1)
        ),
        source="test",
        groups=reorder(groups),
        times=reorder(times),
    )


def names_of(parts) -> dict[str, tuple[str, ...]]:
    """Map each split to the names of its examples."""
    return {split: part.ids for split, part in parts.items()}


def split_of(parts) -> dict[str, str]:
    """Map the name of each example to its split."""
    return {name: split for split in SPLIT_NAMES for name in parts[split].ids}
