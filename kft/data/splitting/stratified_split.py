"""Stratified split into validation and holdout by shares, or into folds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from kft.data.found import Found
from kft.data.splitting.stratified_assignment import assign, count_classes, count_holders
from kft.errors import DataError
from kft.examples import SplitName
from kft.printing import listed


@dataclass(frozen=True)
class SplitRequest:
    """Parts to take from the training examples.

    Attributes:
        shares: Shares, above 0, of validation and the holdout if they are taken; with folds,
            the shares that determine the holdout, if any.
        seed: Seed of the split.
        folds: Number of folds, which divide everything except the holdout; or None.
        fold: Index of the fold that is validation.
        grouping: Kind of group in words, or None without groups.
        keeps_rare: Whether classes that cannot be in every part stay in train.
    """

    shares: Mapping[SplitName, float]
    seed: int
    folds: int | None = None
    fold: int = 0
    grouping: str | None = None
    keeps_rare: bool = False

    @property
    def needed(self) -> int:
        """Number of units that each class needs."""
        if self.folds is not None:
            return self.folds + ("holdout" in self.shares)
        return len(self.shares) + 1

    @property
    def places(self) -> str:
        """Parts that need each class, in words."""
        if self.folds is not None:
            return f"{self.folds} folds" + " and the holdout" * ("holdout" in self.shares)
        return " and ".join(["train", *self.shares])

    @property
    def way_out(self) -> str:
        """Settings that need fewer units."""
        if self.folds is not None:
            return "fewer data.split.folds" + " or data.holdout=0" * ("holdout" in self.shares)
        return " and ".join(f"data.{split}=0" for split in self.shares)


def split_stratified(
    found: Found, positions: np.ndarray, unit_of: np.ndarray, request: SplitRequest
) -> np.ndarray:
    """Split the examples at `positions`; returns an array of split names.

    Within each class, examples in the order of SHA-256(seed, id) are divided by the shares
    or into folds; units stay whole. If no class is rare, the holdout is the same with folds
    as without.

    Args:
        found: Examples of a source.
        positions: Indices of the examples to divide.
        unit_of: Unit of each of them, numbered from 0 without gaps.
        request: Parts to take.

    Raises:
        DataError: A class has too few units, or no assignment has it in every part, and it may
            not stay in train.
    """
    examples = found.examples.take(positions)
    unit_of = _draw(examples.ids, request.seed, unit_of)
    counts = count_classes(examples.targets, found.task, len(found.class_names), unit_of)
    split_of = np.full(counts.shape[0], "train", dtype=object)
    if request.shares:
        shares = np.asarray([*request.shares.values(), 1.0 - sum(request.shares.values())])
        parts = np.asarray([*request.shares, "train"], dtype=object)
        split_of = parts[_assign_all(found, request, counts, shares, request.needed)]
    if request.folds is not None:
        rest = np.flatnonzero(split_of != "holdout")
        # The last part has no share: it holds the units that stay in train.
        shares = np.append(np.full(request.folds, 1.0 / request.folds), 0.0)
        fold_of = _assign_all(found, request, counts[rest], shares, request.folds)
        split_of[rest] = np.where(fold_of == request.fold, "validation", "train")
    return split_of[unit_of]


def _draw(ids: Sequence[str], seed: int, unit_of: np.ndarray) -> np.ndarray:
    """Renumber the units in an order that depends only on the seed and the ids."""
    # Keeps the bytes of file names that are not UTF-8.
    texts = [f"{seed}\n{example_id}".encode(errors="surrogateescape") for example_id in ids]
    order = sorted(range(len(ids)), key=lambda i: hashlib.sha256(texts[i]).digest())
    drawn = list(dict.fromkeys(unit_of[order].tolist()))
    return np.argsort(drawn)[unit_of]


def _assign_all(
    found: Found, request: SplitRequest, counts: sparse.csr_array, shares: np.ndarray, needed: int
) -> np.ndarray:
    """Assign units so that every class is in all parts, except classes that stay in train.

    The units of a class that has fewer than `needed` of them, or that some part would lack,
    stay in the last part, which is train, as long as there is something left to judge.
    """
    is_judged = counts.sum(axis=0) > 0
    is_rare = np.zeros(len(is_judged), bool)
    while True:
        is_kept = counts @ is_rare > 0
        # Train may already have a class through the units that stay there.
        has_already = (shares[-1] > 0) & (counts[is_kept].sum(axis=0) > 0)
        is_missing = is_judged & (count_holders(counts[~is_kept]) + has_already < needed)
        if not is_missing.any():
            part_of, is_missing = assign(counts, shares, is_kept)
            if not is_missing.any():
                return part_of
        is_rare |= is_missing
        is_judged &= ~is_missing
        if not request.keeps_rare or is_judged[:-1].sum() < found.task.fewest_names:
            raise _make_error(found, request, counts, needed, is_rare)


def _make_error(
    found: Found, request: SplitRequest, counts: sparse.csr_array, needed: int, is_rare: np.ndarray
) -> DataError:
    """Make an error that names the classes with too few units, or else those without a solution."""
    word = found.task.noun
    unit, kind, remedy = _name_units(request, counts)
    holders = count_holders(counts).tolist()
    short = [column for column, number in enumerate(holders) if 0 < number < needed]
    if short:
        number, what, also = holders[short[0]], "there are", ""
        names = [repr(name) for name in found.class_names]
        if short[0] < len(names):
            what = f"{word} {names[short[0]]} has"
            others = [f"{names[i]} ({holders[i]})" for i in short[1:] if i < len(names)]
            also = f"; so do {listed(others)}" if others else ""
        besides = " besides the holdout" if needed < request.needed else ""
        problem = (
            f"{what} {number} {unit}{'s' * (number != 1)}{kind}{besides}, too few for "
            f"{f'{needed} folds' if besides else request.places}, which need at least "
            f"{needed}{also}"
        )
    else:
        rare = [repr(found.class_names[column]) for column in np.flatnonzero(is_rare[:-1])]
        problem = (
            f"found no way to keep {unit}s{kind} whole and have every {word} in "
            f"{request.places}: {listed(rare)} cannot be in all of them"
        )
    remedies = [remedy]
    if found.task.is_stratified:
        remedies.append(f"remove the {word}")
        if not request.keeps_rare:
            remedies.append("set data.split.rare=keep_in_train")
    return DataError(f"{found.source}: {problem}. {', '.join(remedies)}, or use {request.way_out}.")


def _name_units(request: SplitRequest, counts: sparse.csr_array) -> tuple[str, str, str]:
    """Name the units, their kind, and the remedy if there are too few."""
    if request.grouping is not None:
        return "group", f" by {request.grouping}", "Add examples of other groups"
    if (counts[:, [-1]].data > 1).any():
        remedy = "Add examples that differ, set data.split.near_duplicates=ignore"
        return "set", " of near duplicates", remedy
    return "example", "", "Add examples"
