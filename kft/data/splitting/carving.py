"""Examples -> validation and holdout by shares, or one of several folds, stratified."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from kft.data.found import Found, listed
from kft.data.splits import SplitName
from kft.data.splitting.covering import cover
from kft.data.splitting.dealing import Units, deal, find_missing, make_units
from kft.errors import DataError


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
    """

    shares: Mapping[SplitName, float]
    seed: int
    folds: int | None = None
    fold: int = 0
    grouping: str | None = None

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
    folds as without.

    Args:
        found: What a source found, in the order of ids.
        positions: The examples to deal out.
        unit_of: The unit of each of them.
        cut: What to carve.

    Raises:
        DataError: A class is in too few units, or in such that no way was found to have it
            everywhere.
    """
    units = make_units(
        found.examples.take(positions),
        found.target_kind,
        len(found.class_names),
        unit_of=unit_of,
        seed=cut.seed,
    )
    _refuse_too_few(found, units, cut, cut.needed)
    split_of = np.full(len(units.sizes), "train", dtype=object)
    if cut.shares:
        parts = np.asarray([*cut.shares, "train"], dtype=object)
        split_of = parts[_deal_everywhere(found, units, _share_out(units, cut.shares), cut)]
    if cut.folds is not None:
        rest = np.flatnonzero(split_of != "holdout")
        units = units.take(rest)
        _refuse_too_few(found, units, cut, cut.folds)
        fold_of = _deal_everywhere(found, units, _cut_up(units, cut.folds), cut)
        split_of[rest] = np.where(fold_of == cut.fold, "validation", "train")
    return split_of[unit_of]


def _share_out(units: Units, shares: Mapping[SplitName, float]) -> np.ndarray:
    """How much of each column the parts are to have, int64 (parts, columns); train is last."""
    wanted = [_count_shares(total, shares.values()) for total in units.totals.tolist()]
    return np.asarray(wanted, np.int64).T


def _count_shares(total: int, shares: Collection[float]) -> list[int]:
    """How much of `total` each share takes, at least 1, and what is left, at least 1."""
    if total <= len(shares):
        return [*([0] * len(shares)), total]
    counts = [max(1, math.floor(total * share + 0.5)) for share in shares]
    while sum(counts) >= total:
        counts[counts.index(max(counts))] -= 1
    return [*counts, total - sum(counts)]


def _cut_up(units: Units, folds: int) -> np.ndarray:
    """How much of each column the folds are to have, int64 (folds, columns)."""
    ends = np.arange(folds + 1)[:, np.newaxis] * units.totals // folds
    wanted = np.diff(ends, axis=0)
    # Which folds have one more differs from class to class, so that the folds are of one size.
    places = (np.arange(folds)[:, np.newaxis] - np.arange(wanted.shape[1])) % folds
    return np.take_along_axis(wanted, places, axis=0)


def _deal_everywhere(found: Found, units: Units, wanted: np.ndarray, cut: Cut) -> np.ndarray:
    """The part of each unit, with every class in every part."""
    part_of = deal(units, wanted)
    missing = find_missing(units, part_of, len(wanted))
    if not missing:
        return part_of
    covering = cover(units, part_of, len(wanted))
    if covering is not None:
        return covering
    names = [repr(found.class_names[column]) for column in sorted({c for _, c in missing})]
    raise DataError(
        f"{found.source}: found no way to deal out {_name_units(units, cut)} whole and have every "
        f"{_class_word(found)} in {cut.places}: {listed(names)} cannot be everywhere. "
        f"{_say_what_to_do(found, units, cut)}"
    )


def _refuse_too_few(found: Found, units: Units, cut: Cut, needed: int) -> None:
    """Refuse a class that is in fewer units than parts need one."""
    holders = units.holders
    is_short = units.is_required & (units.totals > 0) & (holders < needed)
    short = np.flatnonzero(is_short).tolist()
    if not short:
        return
    what, also = "there are", ""
    if found.target_kind != "number":
        what = f"{_class_word(found)} {found.class_names[short[0]]!r} has"
        others = [f"{found.class_names[column]!r} ({holders[column]})" for column in short[1:]]
        also = f"; so do {listed(others)}" if others else ""
    number = int(holders[short[0]])
    after = " besides the holdout" if needed < cut.needed else ""
    places = f"{cut.folds} folds" if after else cut.places
    raise DataError(
        f"{found.source}: {what} {number} {_name_units(units, cut, number)}{after}, too few for "
        f"{places}, which need at least {needed}{also}. {_say_what_to_do(found, units, cut)}"
    )


def _class_word(found: Found) -> str:
    return "label" if found.target_kind == "labels" else "class"


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
    if found.target_kind != "number":
        remedies.append(f"remove the {_class_word(found)}")
    return f"{', '.join(remedies)}, or ask for less: {cut.way_out}."
