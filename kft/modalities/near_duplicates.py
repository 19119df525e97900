"""Sets of near duplicates and of exact copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

# Rows per block: a block of comparisons takes some 30 MB for any number of examples.
_BLOCK = 2048


def find_look_alikes(
    likenesses: Sequence[int | None], *, most_different_bits: int
) -> tuple[tuple[int, ...], ...]:
    """Find sets of at least two indices of examples that look the same.

    Each example looks the same as another in its set, but two examples of a large set may
    differ more.

    Args:
        likenesses: Perceptual hash of each example, or None.
        most_different_bits: Largest number of bits in which two of them may differ.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    hashed = np.array([i for i, value in enumerate(likenesses) if value is not None], np.int64)
    if len(hashed) < 2:
        return ()
    every = np.array([likenesses[i] for i in hashed], np.uint64)
    # Copies have the same hash, so this avoids a quadratic number of pairs of copies.
    values, which = np.unique(every, return_inverse=True)
    pairs = np.concatenate([*_find_pairs(values, most_different_bits), np.empty((0, 2), np.int64)])
    links = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(len(values),) * 2)
    _, labels = connected_components(links, directed=False)
    return _group(labels[which].tolist(), hashed.tolist())


def _find_pairs(values: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Find index pairs, int64 (pairs, 2), whose hashes differ in at most `most` bits."""
    # With bits as -1 and 1, the product of two hashes is 64 minus twice the number of differing
    # bits.
    bits = np.unpackbits(values.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    signs = bits.astype(np.float32) * 2 - 1
    for first in range(0, len(signs), _BLOCK):
        rows = signs[first : first + _BLOCK]
        for second in range(first, len(signs), _BLOCK):
            alike = np.argwhere(rows @ signs[second : second + _BLOCK].T >= 64 - 2 * most)
            pairs = alike + np.array([first, second])
            yield pairs[pairs[:, 0] < pairs[:, 1]]


def find_same(keys: Sequence[Hashable]) -> tuple[tuple[int, ...], ...]:
    """Find sets of at least two indices with the same key, such as a digest."""
    return _group(keys, range(len(keys)))


def _group(keys: Sequence[Hashable], positions: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    sets = defaultdict(list)
    for key, position in zip(keys, positions, strict=True):
        sets[key].append(position)
    return tuple(tuple(found) for found in sets.values() if len(found) > 1)
