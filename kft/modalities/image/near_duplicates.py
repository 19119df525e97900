"""Which pictures look the same, and which are the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from kft.examples import SplitName

# Bits of 64 in which two pictures that look the same may differ. Measured: a photograph that was
# made smaller or larger, brighter, grey or blurred, or saved again differs from itself in at most
# 4 in 98 of 100 cases. At 6 different hands before one wall pass for the same.
MOST_DIFFERENT_BITS = 4
# Rows of a block: a block of comparisons takes some 30 MB, however many pictures there are.
_BLOCK = 2048


def find_look_alikes(
    likenesses: Sequence[int | None], *, most_different_bits: int = MOST_DIFFERENT_BITS
) -> tuple[tuple[int, ...], ...]:
    """Sets of positions of pictures that look the same, each of two at least.

    Each looks the same as another one of its set, but the first and the last of a long set
    may differ more.

    Args:
        likenesses: Perceptual hash of each picture; None for those that have none.
        most_different_bits: What may differ between two of them.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    hashed = np.array([i for i, value in enumerate(likenesses) if value is not None], np.int64)
    if len(hashed) < 2:
        return ()
    every = np.array([likenesses[i] for i in hashed], np.uint64)
    # Copies have one hash: so many blank pages do not make that many pairs.
    values, which = np.unique(every, return_inverse=True)
    pairs = np.concatenate([*_find_pairs(values, most_different_bits), np.empty((0, 2), np.int64)])
    links = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(len(values),) * 2)
    _, labels = connected_components(links, directed=False)
    return _group(labels[which].tolist(), hashed.tolist())


def _find_pairs(values: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Pairs of positions, int64 (pairs, 2), whose hashes differ in no more than `most` bits."""
    # As -1 and 1 the product of two hashes is 64 less twice the bits in which they differ.
    bits = np.unpackbits(values.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    signs = bits.astype(np.float32) * 2 - 1
    for first in range(0, len(signs), _BLOCK):
        rows = signs[first : first + _BLOCK]
        for second in range(first, len(signs), _BLOCK):
            alike = np.argwhere(rows @ signs[second : second + _BLOCK].T >= 64 - 2 * most)
            pairs = alike + np.array([first, second])
            yield pairs[pairs[:, 0] < pairs[:, 1]]


def find_same(keys: Sequence[Hashable]) -> tuple[tuple[int, ...], ...]:
    """Sets of positions with the same key, such as a digest, each of two at least."""
    return _group(keys, range(len(keys)))


def _group(keys: Sequence[Hashable], positions: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    sets = defaultdict(list)
    for key, position in zip(keys, positions, strict=True):
        sets[key].append(position)
    return tuple(tuple(found) for found in sets.values() if len(found) > 1)


def find_bad_copies(
    names: Sequence[str],
    digests: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[SplitName] | None,
) -> dict[int, str]:
    """Position -> why it must be left out: copies that contradict or leak.

    The same content under two labels says nothing, and all of it goes. In two splits that are
    given, what is judged would have been learned: it stays in the holdout, or else in
    validation.

    Args:
        names: Of all pictures.
        digests: Of their content.
        labels: As people read them.
        splits: The split that the source names for each; None where it names none.
    """
    bad: dict[int, str] = {}
    for places in find_same(digests):
        if len({labels[place] for place in places}) > 1:
            for place in places:
                other = next(i for i in places if labels[i] != labels[place])
                bad[place] = (
                    f"the same picture as {names[other]}, which is labelled {labels[other]!r}, "
                    f"not {labels[place]!r}; decide which is right, and remove the other file"
                )
        elif splits is not None:
            bad |= _find_leaks(names, splits, places)
    return bad


def _find_leaks(
    names: Sequence[str], splits: Sequence[SplitName], places: Sequence[int]
) -> dict[int, str]:
    order: tuple[SplitName, ...] = ("holdout", "validation", "train")
    kept = next(split for split in order if any(splits[place] == split for place in places))
    first = next(place for place in places if splits[place] == kept)
    return {
        place: f"the same picture as {names[first]}, which is in the {kept} split"
        for place in places
        if splits[place] != kept
    }
