"""Examples -> validation and holdout by shares, or one of several folds, stratified."""

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
    """What is to be taken out of the training examples.

    Attributes:
        shares: Share of validation and of the holdout, above 0, where they are to be taken;
            with folds those that find the holdout, if there is to be one.
        seed: Of the split.
        folds: How many parts of what is not the holdout take turns as validation, or None.
        fold: Which of them is validation.
        grouping: What groups are, in words, or None where there are none.
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
        """How many units each class needs."""
        if self.folds is not None:
            return self.folds + ("holdout" in self.shares)
        return len(self.shares) + 1

    @property
    def places(self) -> str:
        """Where each class is needed, in words."""
        if self.folds is not None:
            return f"{self.folds} folds" + " and the holdout" * ("holdout" in self.shares)
        return " and ".join(["train", *self.shares])

    @property
    def way_out(self) -> str:
        """Settings that ask for less."""
        if self.folds is not None:
            return "fewer data.split.folds" + " or data.holdout=0" * ("holdout" in self.shares)
        return " and ".join(f"data.{split}=0" for split in self.shares)


def split_stratified(
    found: Found, positions: np.ndarray, unit_of: np.ndarray, request: SplitRequest
) -> np.ndarray:
    """The split of each of `positions`, an array of names.

    Within each class, examples in the order of SHA-256(seed, id) are divided by the shares,
    or in as many pieces as there are folds; units stay whole. The holdout is the same with
    folds as without, where no class is rare.

    Args:
        found: What a source found.
        positions: The examples to divide.
        unit_of: The unit of each of them, from 0 on without a gap.
        request: What to take.

    Raises:
        DataError: A class is in too few units, or no way was found to have it everywhere, and it
            may not stay in train.
    """
    examples = found.examples.take(positions)
    unit_of = _draw(examples.ids, request.seed, unit_of)
    counts = count_classes(examples.targets, found.target_kind, len(found.class_names), unit_of)
    split_of = np.full(counts.shape[0], "train", dtype=object)
    if request.shares:
        shares = np.asarray([*request.shares.values(), 1.0 - sum(request.shares.values())])
        parts = np.asarray([*request.shares, "train"], dtype=object)
        split_of = parts[_assign_all(found, request, counts, shares, request.needed)]
    if request.folds is not None:
        rest = np.flatnonzero(split_of != "holdout")
        # The part after the folds, without a share, is for what stays in train.
        shares = np.append(np.full(request.folds, 1.0 / request.folds), 0.0)
        fold_of = _assign_all(found, request, counts[rest], shares, request.folds)
        split_of[rest] = np.where(fold_of == request.fold, "validation", "train")
    return split_of[unit_of]


def _draw(ids: Sequence[str], seed: int, unit_of: np.ndarray) -> np.ndarray:
    """Units renumbered, in an order fixed by the seed and the ids alone."""
    # A file name that is no UTF-8 keeps its bytes.
    texts = [f"{seed}\n{example_id}".encode(errors="surrogateescape") for example_id in ids]
    order = sorted(range(len(ids)), key=lambda i: hashlib.sha256(texts[i]).digest())
    drawn = list(dict.fromkeys(unit_of[order].tolist()))
    return np.argsort(drawn)[unit_of]


def _assign_all(
    found: Found, request: SplitRequest, counts: sparse.csr_array, shares: np.ndarray, needed: int
) -> np.ndarray:
    """The part of each unit, with every class in all parts but those that stay in train.

    The units of a class that is in fewer than `needed`, or that some part would lack, stay in
    the last part, which is train, as long as there is something to judge.
    """
    enough = 2 if found.target_kind == "class" else 1
    is_judged = counts.sum(axis=0) > 0
    is_rare = np.zeros(len(is_judged), bool)
    while True:
        is_kept = counts @ is_rare > 0
        # Train may have a class already, by what stays there.
        has_already = (shares[-1] > 0) & (counts[is_kept].sum(axis=0) > 0)
        is_missing = is_judged & (count_holders(counts[~is_kept]) + has_already < needed)
        if not is_missing.any():
            part_of, is_missing = assign(counts, shares, is_kept)
            if not is_missing.any():
                return part_of
        is_rare |= is_missing
        is_judged &= ~is_missing
        if not request.keeps_rare or is_judged[:-1].sum() < enough:
            raise _make_error(found, request, counts, needed, is_rare)


def _make_error(
    found: Found, request: SplitRequest, counts: sparse.csr_array, needed: int, is_rare: np.ndarray
) -> DataError:
    """An error that names the classes that are in too few units, or else cannot be everywhere."""
    word = "label" if found.target_kind == "labels" else "class"
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
            f"found no way to deal out {unit}s{kind} whole and have every {word} in "
            f"{request.places}: {listed(rare)} cannot be everywhere"
        )
    remedies = [remedy]
    if found.target_kind != "number":
        remedies.append(f"remove the {word}")
        if not request.keeps_rare:
            remedies.append("set data.split.rare=keep_in_train")
    return DataError(
        f"{found.source}: {problem}. {', '.join(remedies)}, or ask for less: {request.way_out}."
    )


def _name_units(request: SplitRequest, counts: sparse.csr_array) -> tuple[str, str, str]:
    """What a unit is, of what kind, and what to do about too few of them."""
    if request.grouping is not None:
        return "group", f" by {request.grouping}", "Add examples of other groups"
    if (counts[:, [-1]].data > 1).any():
        remedy = "Add examples that differ, set data.split.near_duplicates=ignore"
        return "set", " of near duplicates", remedy
    return "example", "", "Add examples"
