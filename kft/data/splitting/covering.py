"""Units dealt out anew, so that no part lacks a class, changing as little as that takes.

Which few groups go where, so that every class is everywhere, is a puzzle: deal them out one by
one, and a wrong step early on leaves a class missing at the end. Here it is stated as an integer
programme, which HiGHS solves (by way of scipy.optimize.milp) or proves to have no solution.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from kft.data.splitting.dealing import Units

# Any way that is found early is near enough to what was dealt. A limit in seconds would depend
# on the machine.
_OPTIONS = {"node_limit": 500, "mip_rel_gap": 0.2}


def cover(
    units: Units, part_of: np.ndarray, num_parts: int, given: np.ndarray | None = None
) -> np.ndarray | None:
    """The part of each unit, with every required column in every part; None if no way was found.

    As few examples as that takes change their part.

    Args:
        units: What to deal out.
        part_of: int64 (units,): how they were dealt out.
        num_parts: How many parts there are.
        given: int64 (parts, columns): what each part has besides; by default nothing.
    """
    kinds = _find_kinds(units)
    dealt = np.stack([np.bincount(part_of[members], minlength=num_parts) for members in kinds])
    has = np.zeros((num_parts, units.counts.shape[1]), bool) if given is None else given > 0
    numbers = _solve(units.take(np.asarray([members[0] for members in kinds])), dealt, has)
    if numbers is None:
        return None
    covering = np.empty_like(part_of)
    for members, sizes in zip(kinds, numbers, strict=True):
        covering[members] = np.repeat(np.arange(num_parts), sizes)
    return covering


def _find_kinds(units: Units) -> list[list[int]]:
    """Units that count alike, in the order of their lots: one may stand for another."""
    counts = units.counts
    kinds: dict[tuple[bytes, bytes], list[int]] = {}
    for unit in np.argsort(units.ranks):
        inside = slice(*counts.indptr[unit : unit + 2])
        key = (counts.indices[inside].tobytes(), counts.data[inside].tobytes())
        kinds.setdefault(key, []).append(int(unit))
    return list(kinds.values())


def _solve(kinds: Units, dealt: np.ndarray, has: np.ndarray) -> np.ndarray | None:
    """How many units of each kind go to each part, int64 (kinds, parts), where `dealt` went.

    Args:
        kinds: A unit of each kind.
        dealt: int64 (kinds, parts).
        has: bool (parts, columns): which parts need no unit for a column.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    num_kinds, num_parts = dealt.shape
    is_needed = kinds.is_required & (kinds.totals > 0)
    # The unknowns: how many of each kind go to each part, part by part, and how many come new.
    numbers, news = _identity(dealt.size), _identity(dealt.size)
    all_of_kinds = sparse.kron(np.ones((1, num_parts)), _identity(num_kinds))
    holders = (kinds.counts[:, is_needed] > 0).astype(np.float64)
    all_of_holders = sparse.kron(_identity(num_parts), holders.T)
    needs = np.where(has[:, is_needed], 0.0, 1.0).ravel()
    available, was = dealt.sum(axis=1), dealt.T.ravel()
    result = milp(
        np.append(np.zeros(dealt.size), np.tile(kinds.sizes, num_parts)),
        integrality=np.repeat([1, 0], dealt.size),
        bounds=Bounds(0, np.inf),
        constraints=[
            LinearConstraint(_beside(all_of_kinds, 0 * all_of_kinds), available, available),
            LinearConstraint(_beside(all_of_holders, 0 * all_of_holders), needs, np.inf),
            LinearConstraint(_beside(numbers, -news), -np.inf, was),
        ],
        options=_OPTIONS,
    )
    if result.x is None:
        return None
    return np.rint(result.x[: dealt.size]).astype(np.int64).reshape(num_parts, num_kinds).T


def _identity(size: int) -> sparse.sparray:
    return sparse.csr_array(sparse.identity(size))


def _beside(left: sparse.sparray, right: sparse.sparray) -> sparse.csr_array:
    return sparse.csr_array(sparse.hstack([left, right]))
