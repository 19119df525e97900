"""Examples -> validation and holdout by shares, or one of several folds, stratified."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kft.data.found import Found
from kft.data.splitting.covering import cover
from kft.data.splitting.dealing import Units, deal, find_missing, make_units
from kft.errors import DataError
from kft.examples import SplitName
from kft.printing import listed


@dataclass(frozen=True)
class Cut:
    """What is to be carved out of the training examples.

    Attributes:
        shares: Share of validation and of the holdout, above 0, where they are to be carved;
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


def carve(found: Found, positions: np.ndarray, unit_of: np.ndarray, cut: Cut) -> np.ndarray:
    """The split of each of `positions`, an array of names.

    Within each class, examples in the order of SHA-256(seed, id) are dealt out by the shares,
    or in as many pieces as there are folds; units stay whole. The holdout is the same with
    folds as without, where no class is rare.

    Args:
        found: What a source found, in the order of ids.
        positions: The examples to deal out.
        unit_of: The unit of each of them.
        cut: What to carve.

    Raises:
        DataError: A class is in too few units, or in such that no way was found to have it
            everywhere, and does not stay in train.
    """
    units = make_units(
        found.examples.take(positions),
        found.task,
        len(found.class_names),
        unit_of=unit_of,
        seed=cut.seed,
    )
    split_of = np.full(len(units.sizes), "train", dtype=object)
    if cut.shares:
        # Train is last, so that what stays there, -1, is in it too.
        parts = np.asarray([*cut.shares, "train"], dtype=object)
        split_of = parts[_deal_out(found, units, cut, _Round(cut.needed, cut.shares))]
    if cut.folds is not None:
        rest = np.flatnonzero(split_of != "holdout")
        fold_of = _deal_out(found, units.take(rest), cut, _Round(cut.folds))
        split_of[rest] = np.where(fold_of == cut.fold, "validation", "train")
    return split_of[unit_of]


@dataclass(frozen=True)
class _Round:
    """Units are dealt out once: to the shares and train, or without shares to folds.

    Attributes:
        needed: How many units each class needs.
        shares: As `Cut.shares`, or None.
    """

    needed: int
    shares: Mapping[SplitName, float] | None = None

    @property
    def num_parts(self) -> int:
        return self.needed if self.shares is None else len(self.shares) + 1

    def count_given(self, kept: Units) -> np.ndarray:
        """How much of each column the parts have by what stays in train, int64."""
        given = np.zeros((self.num_parts, len(kept.totals)), np.int64)
        if self.shares is not None:
            given[-1] = kept.totals
        return given

    def count_wanted(self, totals: np.ndarray) -> np.ndarray:
        """How much of each column the parts are to have, int64 (parts, columns)."""
        if self.shares is None:
            return _cut_up(totals, self.num_parts)
        wanted = [_count_shares(total, self.shares.values()) for total in totals.tolist()]
        return np.asarray(wanted, np.int64).T


def _count_shares(total: int, shares: Collection[float]) -> list[int]:
    """How much of `total` each share takes, at least 1, and what is left, at least 1."""
    if total <= len(shares):
        return [*([0] * len(shares)), total]
    counts = [max(1, math.floor(total * share + 0.5)) for share in shares]
    while sum(counts) >= total:
        counts[counts.index(max(counts))] -= 1
    return [*counts, total - sum(counts)]


def _cut_up(totals: np.ndarray, folds: int) -> np.ndarray:
    """How much of each column the folds are to have, int64 (folds, columns)."""
    ends = np.arange(folds + 1)[:, np.newaxis] * totals // folds
    wanted = np.diff(ends, axis=0)
    # Which folds have one more differs from class to class, so that the folds are of one size.
    places = (np.arange(folds)[:, np.newaxis] - np.arange(wanted.shape[1])) % folds
    return np.take_along_axis(wanted, places, axis=0)


def _deal_out(found: Found, units: Units, cut: Cut, dealing: _Round) -> np.ndarray:
    """The part of each unit, with every class in every part; -1 for what stays in train.

    The units of a class that cannot be everywhere stay there, one class after the other, as
    long as there is something to judge.
    """
    is_rare = np.zeros(len(units.totals), bool)
    while True:
        is_kept = (units.counts @ is_rare) > 0
        rest, given = units.take(~is_kept), dealing.count_given(units.take(is_kept))
        is_judged = units.is_required & (units.totals > 0) & ~is_rare
        # Train may have a class already, by what stays there.
        lacking = is_judged & (rest.holders < dealing.needed - (given > 0).sum(axis=0))
        if not lacking.any():
            dealt, lacking = _deal_everywhere(rest, given, dealing)
        if not lacking.any():
            part_of = np.full(len(units.sizes), -1, np.int64)
            part_of[~is_kept] = dealt
            return part_of
        is_rare |= lacking
        if not _may_keep(found, cut, int((is_judged & ~lacking).sum())):
            raise _make_error(found, units, cut, dealing.needed, is_rare)


def _may_keep(found: Found, cut: Cut, num_judged: int) -> bool:
    """Whether rare classes may stay in train, where so many others are left to judge."""
    return cut.keeps_rare and found.task.is_stratified and num_judged >= found.task.fewest_names


def _deal_everywhere(
    units: Units, given: np.ndarray, dealing: _Round
) -> tuple[np.ndarray, np.ndarray]:
    """The part of each unit, and which classes are not everywhere: none, where a way is found."""
    num_parts = dealing.num_parts
    part_of = deal(units, dealing.count_wanted(units.totals + given.sum(axis=0)), given)
    is_missing = np.zeros(len(units.totals), bool)
    missing = find_missing(units, part_of, num_parts, given)
    if missing:
        covering = cover(units, part_of, num_parts, given)
        if covering is not None:
            return covering, is_missing
        is_missing[[column for _, column in missing]] = True
    return part_of, is_missing


def _make_error(
    found: Found, units: Units, cut: Cut, needed: int, is_rare: np.ndarray
) -> DataError:
    """An error that names the classes that are in too few units, or else cannot be everywhere."""
    is_short = units.is_required & (units.totals > 0) & (units.holders < needed)
    if is_short.any():
        return _make_short_error(found, units, cut, needed, np.flatnonzero(is_short).tolist())
    names = [repr(found.class_names[column]) for column in np.flatnonzero(is_rare)]
    return DataError(
        f"{found.source}: found no way to deal out {_name_units(units, cut)} whole and have every "
        f"{found.task.noun} in {cut.places}: {listed(names)} cannot be everywhere. "
        f"{_say_what_to_do(found, units, cut)}"
    )


def _make_short_error(
    found: Found, units: Units, cut: Cut, needed: int, short: Sequence[int]
) -> DataError:
    holders = units.holders
    what, also = "there are", ""
    if found.task.is_stratified:
        what = f"{found.task.noun} {found.class_names[short[0]]!r} has"
        others = [f"{found.class_names[column]!r} ({holders[column]})" for column in short[1:]]
        also = f"; so do {listed(others)}" if others else ""
    number = int(holders[short[0]])
    after = " besides the holdout" if needed < cut.needed else ""
    places = f"{cut.folds} folds" if after else cut.places
    return DataError(
        f"{found.source}: {what} {number} {_name_units(units, cut, number)}{after}, too few for "
        f"{places}, which need at least {needed}{also}. {_say_what_to_do(found, units, cut)}"
    )


def _name_units(units: Units, cut: Cut, number: int = 2) -> str:
    """What is dealt out, in words."""
    plural = "s" * (number != 1)
    if cut.grouping is not None:
        return f"group{plural} by {cut.grouping}"
    if (units.sizes > 1).any():
        return f"set{plural} of near duplicates"
    return f"example{plural}"


def _say_what_to_do(found: Found, units: Units, cut: Cut) -> str:
    remedies = ["Add examples"]
    if cut.grouping is not None:
        remedies = ["Add examples of other groups"]
    elif (units.sizes > 1).any():
        remedies = ["Add examples that differ", "set data.split.near_duplicates=ignore"]
    if found.task.is_stratified:
        remedies.append(f"remove the {found.task.noun}")
        if not cut.keeps_rare:
            remedies.append("set data.split.rare=keep_in_train")
    return f"{', '.join(remedies)}, or ask for less: {cut.way_out}."
