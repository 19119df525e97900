"""Units -> parts none of which lacks a class, where dealing them out one by one found no way.

Which few groups go where, so that every class is everywhere, is a puzzle: one wrong step early on
and a class is missing at the end. Here it is stated as an integer programme, which HiGHS solves
(by way of scipy.optimize.milp) or proves to have no solution.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from kft.data.dealing import Units

# Enough for thousands of groups in seconds. A limit in seconds would depend on the machine.
_NODE_LIMIT = 2_000
# Near enough to the best sizes; proving the last percent takes most of the time.
_GAP = 0.05


def cover(units: Units, wanted: np.ndarray) -> np.ndarray | None:
    """The part of each unit, with every required column in every part; None if no way was found.

    What parts have is as near to what is wanted as the solver gets it: absolute distances,
    each as a share of the column's total.

    Args:
        units: What to deal out.
        wanted: int64 (parts, columns): how much of each column each part is to have.
    """
    kinds = _find_kinds(units)
    numbers = _solve(
        units.take(np.asarray([members[0] for members in kinds])),
        np.asarray([len(members) for members in kinds]),
        wanted,
    )
    if numbers is None:
        return None
    part_of = np.empty(len(units.sizes), np.int64)
    for members, dealt in zip(kinds, numbers, strict=True):
        part_of[members] = np.repeat(np.arange(len(wanted)), dealt)
    return part_of


def _find_kinds(units: Units) -> list[list[int]]:
    """Units that count alike, in the order of their lots: one may stand for another."""
    counts = units.counts
    kinds: dict[tuple[bytes, bytes], list[int]] = {}
    for unit in np.argsort(units.ranks):
        inside = slice(*counts.indptr[unit : unit + 2])
        key = (counts.indices[inside].tobytes(), counts.data[inside].tobytes())
        kinds.setdefault(key, []).append(int(unit))
    return list(kinds.values())


def _solve(kinds: Units, available: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """How many units of each kind go to each part, int64 (kinds, parts)."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    counts = kinds.counts.astype(np.float64)
    num_kinds, num_parts = len(available), len(wanted)
    totals = available @ counts
    is_needed = kinds.is_required & (totals > 0)
    # The unknowns: numbers of kinds, part by part; then distances of columns, part by part.
    num_numbers, num_distances = num_parts * num_kinds, wanted.size
    in_each_part = sparse.eye_array(num_parts)
    sums = sparse.kron(in_each_part, counts.T)
    holders = sparse.kron(in_each_part, (counts[:, is_needed] > 0).astype(np.float64).T)
    dealt = sparse.kron(np.ones((1, num_parts)), sparse.eye_array(num_kinds))
    distances = sparse.eye_array(num_distances)

    def constrain(
        numbers: sparse.sparray, others: sparse.sparray | None, low: object, high: object
    ) -> LinearConstraint:
        if others is None:
            others = sparse.csr_array((numbers.shape[0], num_distances))
        return LinearConstraint(sparse.csr_array(sparse.hstack([numbers, others])), low, high)

    result = milp(
        np.append(np.zeros(num_numbers), np.tile(1.0 / np.maximum(1.0, totals), num_parts)),
        integrality=np.repeat([1, 0], [num_numbers, num_distances]),
        bounds=Bounds(0, np.inf),
        constraints=[
            constrain(dealt, None, available, available),
            constrain(holders, None, 1, np.inf),
            constrain(sums, -distances, -np.inf, wanted.ravel()),
            constrain(sums, distances, wanted.ravel(), np.inf),
        ],
        options={"node_limit": _NODE_LIMIT, "mip_rel_gap": _GAP},
    )
    if result.x is None:
        return None
    numbers = result.x[:num_numbers].reshape(num_parts, num_kinds)
    return np.rint(numbers).astype(np.int64).T
