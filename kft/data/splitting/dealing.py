"""Units -> parts of stated sizes, stratified: every class has its share of every part.

A unit is what stays together: one example, or all those of a group. Units of several examples
are dealt out first, each to the part that misses its classes most. Single examples fill up what
is then missing, class by class, the rarest first: iterative stratification, as Sechidis,
Tsoumakas and Vlahavas describe it for multi-label data (On the Stratification of Multi-Label
Data, ECML PKDD 2011). The libraries that offer it (scikit-multilearn, iterative-stratification)
have had no release for years, know no groups, and deal by the order of the files. Here the
examples of a class go out in pieces of the order of their lots: each part gets as many of each
class, and one example more moves few of the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from kft.examples import Examples
from kft.tasks import Task


@dataclass(frozen=True)
class Units:
    """What is dealt out.

    Attributes:
        counts: int64, sparse, (units, columns): how many examples of a unit count in a column.
            There is a column for each class or label; for labels and numbers a last one, in
            which every example counts.
        is_required: bool (columns,): whether no part may lack the column.
        sizes: int64 (units,): how many examples a unit has.
        ranks: int64 (units,): the unit's place in the order of the lots.
    """

    counts: sparse.csr_array
    is_required: np.ndarray
    sizes: np.ndarray
    ranks: np.ndarray

    @property
    def totals(self) -> np.ndarray:
        """How many examples count in each column, int64."""
        return _sum(self.counts)

    @property
    def holders(self) -> np.ndarray:
        """How many units count in each column, int64."""
        return np.bincount(self.counts.indices, minlength=self.counts.shape[1])

    def take(self, indices: np.ndarray) -> Units:
        """Some of the units."""
        return Units(
            self.counts[indices], self.is_required, self.sizes[indices], self.ranks[indices]
        )


def make_units(
    examples: Examples, task: Task, num_names: int, *, unit_of: np.ndarray, seed: int
) -> Units:
    """The units of examples.

    Args:
        examples: What is dealt out, in the order of their ids.
        task: What a target is.
        num_names: How many classes, labels or numbers there are.
        unit_of: int64 (examples,): the unit of each, from 0 on without a gap.
        seed: Of the lots. A unit has the first of its examples' lots.
    """
    total = len(examples)
    columns, is_required = _make_columns(examples.targets, task, num_names)
    sizes = np.bincount(unit_of)
    ones = np.ones(total, np.int64)
    members = sparse.csr_array((ones, (unit_of, np.arange(total))), shape=(len(sizes), total))
    lots = np.empty(total, np.int64)
    lots[sorted(range(total), key=lambda i: _draw(seed, examples.ids[i]))] = np.arange(total)
    first = np.full(len(sizes), total)
    np.minimum.at(first, unit_of, lots)
    ranks = np.empty(len(sizes), np.int64)
    ranks[np.argsort(first)] = np.arange(len(sizes))
    counts = sparse.csr_array(members @ columns)
    counts.sort_indices()
    return Units(counts, is_required, sizes, ranks)


def _draw(seed: int, example_id: str) -> bytes:
    """The lot of an example: fixed by the seed and its id alone."""
    # A file name that is no UTF-8 keeps its bytes.
    return hashlib.sha256(f"{seed}\n{example_id}".encode(errors="surrogateescape")).digest()


def _make_columns(
    targets: np.ndarray, task: Task, num_names: int
) -> tuple[sparse.csr_array, np.ndarray]:
    """Where each example counts, and which columns are required."""
    total = len(targets)
    everywhere = sparse.csr_array(np.ones((total, 1), np.int64))
    if not task.is_stratified:
        return everywhere, np.ones(1, bool)
    members = task.find_members(targets, num_names)
    columns = np.repeat(np.arange(num_names), [len(found) for found in members])
    places = (np.concatenate(members), columns)
    has = sparse.csr_array((np.ones(len(columns), np.int64), places), shape=(total, num_names))
    if task.has_classes:
        return has, np.ones(num_names, bool)
    # An example may have no name at all, and be dealt out all the same.
    is_required = np.append(np.ones(num_names, bool), False)
    return sparse.csr_array(sparse.hstack([has, everywhere])), is_required


def _sum(rows: sparse.csr_array) -> np.ndarray:
    """The sums of the columns, int64."""
    return np.asarray(rows.sum(axis=0), np.int64).ravel()


def deal(units: Units, wanted: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
    """The part of each unit, int64.

    Args:
        units: What to deal out.
        wanted: int64 (parts, columns): how much of each column each part is to have.
        given: int64 (parts, columns): how much of it each part has already; by default nothing.

    Returns:
        Some part may lack a required column; `find_missing` tells.
    """
    table = _Table(units, wanted, np.zeros_like(wanted) if given is None else given)
    # The largest first, while there is room for them; those of about one size by their lots, so
    # that another seed gives another split.
    octaves = np.frexp(units.sizes)[1]
    several = np.flatnonzero(units.sizes > 1)
    for unit in several[np.lexsort((units.ranks[several], -octaves[several]))]:
        table.put_where_missed_most(unit)
    table.fill_up(np.flatnonzero(units.sizes == 1))
    return table.part_of


def find_missing(
    units: Units, part_of: np.ndarray, num_parts: int, given: np.ndarray | None = None
) -> list[tuple[int, int]]:
    """(Part, column) wherever a part has nothing of a required column that units have.

    Args:
        units: What was dealt out.
        part_of: int64 (units,): how.
        num_parts: How many parts there are.
        given: int64 (parts, columns): what each part had before; by default nothing.
    """
    filled = np.stack([_sum(units.counts[part_of == part]) for part in range(num_parts)])
    if given is not None:
        filled = filled + given
    is_missing = (filled == 0) & units.is_required & (units.totals > 0)
    return [(int(part), int(column)) for part, column in np.argwhere(is_missing)]


class _Table:
    """What is dealt out so far, and what is missing."""

    def __init__(self, units: Units, wanted: np.ndarray, given: np.ndarray) -> None:
        self.part_of = np.full(len(units.sizes), -1, np.int64)
        self._units = units
        self._filled = given.copy()
        self._need = wanted - given
        # A class counts by its share: a rare one as much as a frequent one.
        self._weights = 1.0 / np.maximum(1, units.totals).astype(np.float64) ** 2
        self._holders_left = units.holders

    def put_where_missed_most(self, unit: int) -> None:
        """Deal one unit out: where the squared distance from what is wanted falls most."""
        counts = self._units.counts
        inside = slice(*counts.indptr[unit : unit + 2])
        columns, values = counts.indices[inside], counts.data[inside]
        is_lacking = self._filled[:, columns] == 0
        # A class that is left in no more units than parts lack it goes to one of those.
        is_last_chance = self._units.is_required[columns] & (
            self._holders_left[columns] <= is_lacking.sum(axis=0)
        )
        rescued = (is_lacking & is_last_chance).sum(axis=1)
        gains = (self._need[:, columns] * values * self._weights[columns]).sum(axis=1)
        part = max(range(len(gains)), key=lambda part: (rescued[part], gains[part]))
        self.part_of[unit] = part
        self._filled[part, columns] += values
        self._need[part, columns] -= values
        self._holders_left[columns] -= 1

    def fill_up(self, singles: np.ndarray) -> None:
        """Deal single examples out, the rarest column first, by the order of their lots."""
        by_column = self._units.counts[singles].tocsc()
        ranks = self._units.ranks[singles]
        is_free = np.ones(len(singles), bool)
        left = np.diff(by_column.indptr)
        while left.any():
            # A column that is not required holds every example: it takes what the others leave.
            candidates = np.flatnonzero(left)
            rarest = np.lexsort((left[candidates], ~self._units.is_required[candidates]))[0]
            column = int(candidates[rarest])
            rows = by_column.indices[slice(*by_column.indptr[column : column + 2])]
            rows = rows[is_free[rows]]
            rows = rows[np.argsort(ranks[rows])]
            is_free[rows] = False
            for part, size in enumerate(self._fit(column, len(rows))):
                left = left - self._put(singles[rows[:size]], part)
                rows = rows[size:]

    def _fit(self, column: int, available: int) -> Sequence[int]:
        """How many of the available examples each part gets: what it needs, as far as they go."""
        need = np.maximum(self._need[:, column], 0)
        exact = need * (available / need.sum())
        sizes = np.floor(exact).astype(np.int64)
        most_missed = np.argsort(sizes - exact, kind="stable")
        sizes[most_missed[: available - sizes.sum()]] += 1
        if self._units.is_required[column]:
            for part in np.flatnonzero((sizes == 0) & (self._filled[:, column] == 0)):
                largest = sizes.argmax()
                if sizes[largest] > 1:
                    sizes[[largest, part]] += (-1, 1)
        return sizes.tolist()

    def _put(self, units: np.ndarray, part: int) -> np.ndarray:
        """Deal units out to one part; gives the sums of their columns."""
        sums = _sum(self._units.counts[units])
        self.part_of[units] = part
        self._filled[part] += sums
        self._need[part] -= sums
        return sums
