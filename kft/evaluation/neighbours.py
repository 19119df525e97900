"""Nearest training examples of feature vectors, by the angle between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Examples whose distances are computed at once.
_ROWS = 512


def normalise(features: np.ndarray) -> np.ndarray:
    """Scale feature vectors (examples, features) to length 1, float32."""
    features = np.asarray(features, np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    normal: np.ndarray = features / np.maximum(lengths, np.finfo(np.float32).tiny)
    return normal


def find_neighbours(
    known: np.ndarray, asked: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest training examples of each vector, nearest first.

    Args:
        known: Vectors of training examples, of length 1 (known, features), from `normalise`.
        asked: Vectors of any length (asked, features), possibly memory-mapped.
        count: Number of neighbours; fewer if there are not so many examples.

    Returns:
        Positions and distances between vectors of length 1, each (asked, count).
    """
    count = min(count, len(known))
    found = list(_find(known, asked, count))
    places, cosines = (np.concatenate(part) for part in zip(*found, strict=True))
    return places, np.sqrt(np.maximum(2 - 2 * cosines, 0.0))


def _find(
    known: np.ndarray, asked: np.ndarray, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(asked), _ROWS):
        cosines = normalise(asked[start : start + _ROWS]) @ known.T
        places = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(cosines, places, axis=1)
        order = np.argsort(-near, axis=1, kind="stable")
        yield np.take_along_axis(places, order, axis=1), np.take_along_axis(near, order, axis=1)
