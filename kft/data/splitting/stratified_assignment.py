"""Units -> parts of stated shares, stratified: every class has its share of every part.

A unit is what stays together: one example, a group, or a set of near duplicates. This is
iterative stratification, as Sechidis, Tsoumakas and Vlahavas describe it for labels (On the
Stratification of Multi-Label Data, ECML PKDD 2011), but the single examples of a class are cut
in pieces of their order, so that one example more moves few of the others.

scikit-learn has no splitter for this. StratifiedGroupKFold makes parts of one size only, and
StratifiedShuffleSplit knows no groups; both take one class per example, and deal others out anew
when one is added.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from kft.examples import TargetKind

_UNASSIGNED = -1

# Of the walk that fills gaps. In each of 1,155 random puzzles of 5 to 12 units that have a
# solution, it found one.
_STEPS = 1000
_NOISE = 0.3


def count_classes(
    targets: np.ndarray, kind: TargetKind, num_names: int, unit_of: np.ndarray
) -> sparse.csr_array:
    """How many examples of each class are in each unit, int64, sparse (units, columns).

    Args:
        targets: Of the examples.
        kind: What a target is.
        num_names: How many classes, labels or numbers there are: a column for each, which for
            numbers stays empty. In one more column, the last, all examples count.
        unit_of: int64 (examples,): the unit of each, from 0 on without a gap.
    """
    everyone = np.arange(len(targets))
    rows, columns = everyone[:0], everyone[:0]
    if kind == "class":
        rows, columns = everyone, targets.astype(np.int64)
    elif kind == "labels":
        rows, columns = np.nonzero(targets > 0.5)
    columns = np.append(columns, np.full(len(targets), num_names))
    places = (np.append(unit_of[rows], unit_of), columns)
    shape = (int(unit_of.max()) + 1, num_names + 1)
    return sparse.csr_array((np.ones(len(columns), np.int64), places), shape=shape)


def count_holders(counts: sparse.csr_array) -> np.ndarray:
    """How many units have examples of each class, int64 (columns,)."""
    return np.bincount(counts.indices, minlength=counts.shape[1])


def assign(
    counts: sparse.csr_array, shares: np.ndarray, is_kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The part of each unit, int64 (units,), and which classes a part lacks, bool (columns,).

    Where units are few, no way may be found to have every class in every part.

    Args:
        counts: See `count_classes`; units are in the order in which they are drawn.
        shares: float64 (parts,): the share of each part, of sum 1. A part of share 0 gets
            nothing but what is kept.
        is_kept: bool (units,): which units are in the last part, whatever the shares.
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
    """How much of `total` each part gets, int64 (parts,): at least 1 where it has a share.

    Each is rounded, and the largest part takes what is then missing or too much. Of equal parts
    another comes first in another turn, so that they are of one size in the end.
    """
    num_parts = np.count_nonzero(shares)
    # A little is added, because products of floats may end just below a half.
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
    """Assign units of several examples, each to the part that needs its classes most."""
    # A class counts by its share: a rare one as much as a frequent one.
    weights = 1.0 / np.maximum(1, counts.sum(axis=0)).astype(np.float64) ** 2
    # The largest first, while there is room for them; those of about one size in the order drawn,
    # so that another seed gives another split.
    sizes = counts[:, [-1]].toarray().ravel()
    octaves = np.frexp(sizes)[1]
    sets = np.flatnonzero((sizes > 1) & (part_of == _UNASSIGNED))
    for unit in sets[np.argsort(-octaves[sets], kind="stable")]:
        inside = slice(*counts.indptr[unit : unit + 2])
        columns, values = counts.indices[inside], counts.data[inside]
        part_of[unit] = (need[:, columns] @ (values * weights[columns])).argmax()
        need[part_of[unit], columns] -= values


def _assign_singles(counts: sparse.csr_array, part_of: np.ndarray, need: np.ndarray) -> None:
    """Assign single examples, the rarest class first, in pieces of the order drawn."""
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
    """Move free units, one by one, until no part lacks a class; gives the classes that one does.

    A step takes a gap, and of the units that fill it the one that leaves the fewest gaps, the
    smallest of these. Where every move opens as many as it fills, some are by lot: the walk of
    Selman, Kautz and Cohen (Noise Strategies for Improving Local Search, AAAI 1994).
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
    """What each part has of each column, int64 (parts, columns)."""
    total = len(part_of)
    places = (part_of, np.arange(total))
    members = sparse.csr_array((np.ones(total, np.int64), places), shape=(num_parts, total))
    return (members @ counts).toarray()
