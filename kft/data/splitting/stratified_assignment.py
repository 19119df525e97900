"""Stratified assignment of units to parts: every class has its share of every part.

A unit stays together: one example, a group, or a set of near duplicates. The method is the
iterative stratification of Sechidis, Tsoumakas and Vlahavas for labels (On the Stratification
of Multi-Label Data, ECML PKDD 2011), except that the single examples of a class are drawn in a
fixed order and cut into consecutive pieces, so an added example moves few others.

scikit-learn has no splitter for this: StratifiedGroupKFold makes only parts of equal size, and
StratifiedShuffleSplit does not support groups. Both accept only one class per example, and an
added example reassigns the others.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from kft.tasks import Task

_UNASSIGNED = -1

# Length and share of random moves of the walk that fills gaps. With these values it solved each
# of 1,155 random solvable problems of 5 to 12 units.
_STEPS = 1000
_NOISE = 0.3


def count_classes(
    targets: np.ndarray, task: Task, num_names: int, unit_of: np.ndarray
) -> sparse.csr_array:
    """Count the examples of each class in each unit; int64, sparse (units, columns).

    Args:
        targets: Targets of the examples.
        task: Task of the targets.
        num_names: Number of classes, labels or numbers. Each has a column, which stays empty
            for numbers. One more column, the last, counts all examples.
        unit_of: int64 (examples,): unit of each example, numbered from 0 without gaps.
    """
    members = [*task.find_members(targets, num_names), np.arange(len(targets))]
    # The last column counts all examples, whether names have members or not.
    first = num_names + 1 - len(members)
    columns = np.repeat(np.arange(first, num_names + 1), [len(found) for found in members])
    places = (unit_of[np.concatenate(members)], columns)
    shape = (int(unit_of.max()) + 1, num_names + 1)
    return sparse.csr_array((np.ones(len(columns), np.int64), places), shape=shape)


def count_holders(counts: sparse.csr_array) -> np.ndarray:
    """Count the units that have examples of each class; int64 (columns,)."""
    return np.bincount(counts.indices, minlength=counts.shape[1])


def assign(
    counts: sparse.csr_array, shares: np.ndarray, is_kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Assign units to parts.

    With few units, there may be no assignment with every class in every part.

    Args:
        counts: See `count_classes`; the units are in drawing order.
        shares: float64 (parts,): share of each part; the sum is 1. A part of share 0 gets
            only kept units.
        is_kept: bool (units,): whether a unit is in the last part regardless of the shares.

        Returns:
        Part of each unit, int64 (units,), and whether some part lacks a class, bool (columns,).
    """
    part_of = np.where(is_kept, len(shares) - 1, _UNASSIGNED)
    wanted = [_apportion(total, shares, turn) for turn, total in enumerate(counts.sum(axis=0))]
    need = np.asarray(wanted, np.float64).T
    need[-1] -= counts[is_kept].sum(axis=0)
    need[shares == 0] = -np.inf
    _assign_sets(counts, part_of, need)
    _assign_singles(counts, part_of, need)
    return part_of, _fill_gaps(counts, part_of, shares, ~is_kept)


def _apportion(total: int, shares: np.ndarray, turn: int) -> np.ndarray:
    """Divide `total` among the parts, int64 (parts,): at least 1 for each part with a share.

    Each size is rounded, and the largest part absorbs the difference. Among equal parts, `turn`
    decides which comes first, so the parts end up equal over all turns.
    """
    num_parts = np.count_nonzero(shares)
    # The small addend compensates for products of floats just below a half.
    sizes = np.floor(total * shares / shares.sum() + 0.5 + 1e-9).astype(np.int64)
    if total >= num_parts:
        sizes = np.maximum(sizes, shares > 0)
    turns = (np.arange(len(shares)) - turn) % num_parts
    while sizes.sum() < total:
        sizes[np.lexsort((turns, sizes, -shares))[0]] += 1
    while sizes.sum() > total:
        sizes[np.lexsort((turns, -sizes))[0]] -= 1
    return sizes


def _assign_sets(counts: sparse.csr_array, part_of: np.ndarray, need: np.ndarray) -> None:
    """Assign each unit of several examples to the part that needs its classes most."""
    # The need of a class counts relative to its size, so rare and frequent classes weigh the same.
    weights = 1.0 / np.maximum(1, counts.sum(axis=0)).astype(np.float64) ** 2
    # Large units come first, while there is room for them; units of similar size stay in drawing
    # order, so another seed gives another split.
    sizes = counts[:, [-1]].toarray().ravel()
    octaves = np.frexp(sizes)[1]
    sets = np.flatnonzero((sizes > 1) & (part_of == _UNASSIGNED))
    for unit in sets[np.argsort(-octaves[sets], kind="stable")]:
        inside = slice(*counts.indptr[unit : unit + 2])
        columns, values = counts.indices[inside], counts.data[inside]
        part_of[unit] = (need[:, columns] @ (values * weights[columns])).argmax()
        need[part_of[unit], columns] -= values


def _assign_singles(counts: sparse.csr_array, part_of: np.ndarray, need: np.ndarray) -> None:
    """Assign single examples, rarest class first, in consecutive pieces of the drawing order."""
    singles = np.flatnonzero(part_of == _UNASSIGNED)
    by_column = counts[singles].tocsc()
    left = by_column.sum(axis=0)
    while left.any():
        column = int(np.where(left > 0, left, np.inf).argmin())
        units = singles[by_column.indices[slice(*by_column.indptr[column : column + 2])]]
        units = np.sort(units[part_of[units] == _UNASSIGNED])
        pieces = _apportion(len(units), np.maximum(need[:, column], 0), column)
        part_of[units] = np.repeat(np.arange(len(pieces)), pieces)
        given = _sum_parts(counts[units], part_of[units], len(pieces))
        need -= given
        left -= given.sum(axis=0)


def _fill_gaps(
    counts: sparse.csr_array, part_of: np.ndarray, shares: np.ndarray, is_free: np.ndarray
) -> np.ndarray:
    """Move free units one by one until no part lacks a class; returns the classes that one lacks.

    Each step picks a gap, and fills it with the unit that leaves the fewest gaps, the smallest
    of several. If no move reduces the gaps, some moves are random, as in the walk of Selman,
    Kautz and Cohen (Noise Strategies for Improving Local Search, AAAI 1994).
    """
    has = sparse.csr_array(counts > 0).astype(np.int64)
    by_column = has.tocsc()
    sizes = counts[:, [-1]].toarray().ravel()
    holders = _sum_parts(has, part_of, len(shares))
    is_needed = (shares > 0)[:, np.newaxis] & (count_holders(counts[is_free]) > 0)
    fewest, random = is_needed, np.random.default_rng(0)
    for _ in range(_STEPS):
        is_gap = is_needed & (holders == 0)
        if is_gap.sum() < fewest.sum():
            fewest = is_gap
        if not is_gap.any():
            break
        part, column = random.choice(np.argwhere(is_gap))
        units = by_column.indices[slice(*by_column.indptr[column : column + 2])]
        units = units[is_free[units]]
        is_last = holders[part_of[units]] == 1
        opened = has[units].multiply(is_last).sum(axis=1) - has[units] @ is_gap[part]
        unit = units[np.lexsort((sizes[units], opened))[0]]
        if opened.min() >= 0 and random.random() < _NOISE:
            unit = random.choice(units)
        holders[[part_of[unit], part]] += [[-1], [1]] * has[[unit]].toarray()
        part_of[unit] = part
    return fewest.sum(axis=0) > 0


def _sum_parts(counts: sparse.csr_array, part_of: np.ndarray, num_parts: int) -> np.ndarray:
    """Sum the counts of each part; int64 (parts, columns)."""
    total = len(part_of)
    places = (part_of, np.arange(total))
    members = sparse.csr_array((np.ones(total, np.int64), places), shape=(num_parts, total))
    return (members @ counts).toarray()
