"""Places of feature maps with the class of their pixel, for a linear decoder that is solved."""

from __future__ import annotations

import numpy as np

from kft.tasks.base import VOID
from kft.tasks.linear_rows import LinearRows

# Neighbouring places say almost the same, so that more of them take time and change little.
_MOST_ROWS = 20_000


def sample_places(
    maps: np.ndarray, masks: np.ndarray, units: np.ndarray | None, *, seed: int
) -> LinearRows:
    """Sample labelled places, equally many of each example; all of them if they are few.

    The class of a place is that of the pixel at its centre.

    Args:
        maps: Feature maps (examples, h, w, features), possibly memory-mapped.
        masks: Masks (examples, height, width) of class indices and `VOID`.
        units: Unit of each example; None if each is its own.
        seed: Seed of the sample.
    """
    num_examples, height, width, num_features = maps.shape
    rows, columns = (
        ((np.arange(count) + 0.5) * size / count).astype(int)
        for count, size in ((height, masks.shape[1]), (width, masks.shape[2]))
    )
    quota = max(1, _MOST_ROWS // num_examples)
    vectors, targets, owners = [], [], []
    num_available = 0
    for index in range(num_examples):
        classes = masks[index][np.ix_(rows, columns)].ravel()
        places = np.flatnonzero(classes != VOID)
        num_available += len(places)
        if len(places) > quota:
            random = np.random.default_rng([seed, index])
            places = np.sort(random.choice(places, quota, replace=False))
        vectors.append(np.asarray(maps[index]).reshape(-1, num_features)[places])
        targets.append(classes[places].astype(np.int64))
        owners.append(np.full(len(places), index if units is None else units[index], np.int64))
    joined = np.concatenate(vectors)
    return LinearRows(
        joined.astype(np.float32, copy=False),
        np.concatenate(targets),
        np.concatenate(owners),
        num_available if num_available > len(joined) else None,
    )
