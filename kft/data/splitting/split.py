"""Split of examples into train, validation and holdout, independent of the file order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from kft.config import DataConfig
from kft.data.found import Found
from kft.data.splitting.by_time import find_starts, format_time, latest_times
from kft.data.splitting.grouping import find_groups, join_units, name_grouping
from kft.data.splitting.split_files import read_splits
from kft.data.splitting.stratified_split import SplitRequest, split_stratified
from kft.data.splitting.unjudged import find_present
from kft.errors import DataError
from kft.examples import SPLIT_NAMES, Examples, SplitName
from kft.printing import listed

Alike = Sequence[Sequence[int]]


def split_examples(
    found: Found, config: DataConfig, *, alike: Alike = ()
) -> dict[SplitName, Examples]:
    """Split the examples; each split is in the order of its ids.

    Splits that a file or the source gives are kept. A missing validation or
    holdout is taken from train: at random and stratified, by group, by time or
    in folds, as `data.split` says. The same ids and targets give the same
    split in any order; without groups, an added example moves few others.

    Args:
        found: Examples of a source.
        config: The `data` section.
        alike: Sets of indices in `found.examples` that look the same. With
            `split.near_duplicates: together` each set stays on one side of the
            split that kft makes.

    Raises:
        DataError: A class has no example in train; with `split.rare: refuse`
            a class has too few examples or groups for the splits, or is missing
            from one; groups, times or the file do not fit the data; or no
            examples are left for training or for judging.
    """
    order = sorted(range(len(found.examples)), key=lambda i: found.examples.ids[i])
    alike = _follow(alike, order)
    found = found.take(order)
    # A file of splits needs no groups, but may come with them.
    is_from_file = config.split.file is not None
    groups = found.groups if is_from_file else find_groups(found, config.split)
    splits = _split(found, config, groups, alike)
    members = {name: np.flatnonzero(splits == name) for name in SPLIT_NAMES}
    if not len(members["train"]):
        raise DataError(f"{found.source}: no example is in the train split.")
    _refuse_missing_classes(found, config, members)
    if config.split.near_duplicates == "ignore":
        alike = ()
    examples = found.examples
    if groups is not None or alike:
        examples = replace(examples, units=join_units(len(examples), groups, alike))
    if groups is not None:
        own = {name_grouping(config.split): np.array(groups, object)}
        examples = replace(examples, metadata={**examples.metadata, **own})
    return {name: examples.take(members[name]) for name in SPLIT_NAMES}


def _split(
    found: Found, config: DataConfig, groups: Sequence[str] | None, alike: Alike
) -> np.ndarray:
    """Assign a split to each example; returns an array of names."""
    if config.split.file is not None:
        return np.asarray(read_splits(found, config.split.file), dtype=object)
    splits = _given(found)
    if "train" not in splits:
        return splits
    if groups is not None:
        _refuse_divided_groups(found, config, groups)
    request = _make_request(found, config, groups)
    if request is None:
        return splits
    positions, unit_of = _find_units(found, config, groups, alike)
    if found.times is None:
        splits[positions] = split_stratified(found, positions, unit_of, request)
        return splits
    starts = find_starts(found, positions, unit_of, request.shares)
    times = latest_times(found, positions, unit_of)
    for name in ("validation", "holdout"):
        if name in starts:
            splits[positions[times >= starts[name]]] = name
    return splits


def _given(found: Found) -> np.ndarray:
    """Return the split that the source gives for each example; train if it gives none."""
    splits = found.given_splits or ("train",) * len(found.examples)
    return np.asarray(splits, dtype=object)


def _make_request(
    found: Found, config: DataConfig, groups: Sequence[str] | None
) -> SplitRequest | None:
    """Make the request of parts to take from the training examples; None if there are none.

    Raises:
        DataError: A setting would have no effect on these data.
    """
    split, given = config.split, set(_given(found))
    shares = {name: getattr(config, name) for name in SPLIT_NAMES[1:] if name not in given}
    shares = {name: share for name, share in shares.items() if share > 0.0}
    if split.time_column is not None and found.times is None:
        raise DataError(
            f"data.split.time_column: {found.source} has no columns; only tables have. "
            "Remove it to split at random."
        )
    if found.times is not None and not shares:
        raise DataError(
            f"data.split.time_column: {found.source} gives the splits of its examples, so "
            "nothing is left to split by time. Remove the setting, or the splits."
        )
    if split.folds is not None:
        if "validation" in given:
            raise DataError(
                f"data.split.folds: {found.source} gives its validation examples, but folds take "
                "turns as validation. Remove data.split.folds, or move the examples to train."
            )
        # Without a holdout to take, all of train is folded.
        shares = shares if "holdout" in shares else {}
    elif not shares:
        return None
    grouping = None if groups is None else name_grouping(split)
    keeps_rare = split.rare == "keep_in_train"
    return SplitRequest(
        shares, config.split_seed, split.folds, split.fold, grouping, keeps_rare=keeps_rare
    )


def _find_units(
    found: Found, config: DataConfig, groups: Sequence[str] | None, alike: Alike
) -> tuple[np.ndarray, np.ndarray]:
    """Find the indices of the training examples, and the unit of each."""
    positions: list[int] = np.flatnonzero(_given(found) == "train").tolist()
    if config.split.near_duplicates == "ignore":
        alike = ()
    inside = groups and [groups[i] for i in positions]
    return np.asarray(positions), join_units(len(positions), inside, _follow(alike, positions))


def _follow(alike: Alike, order: Sequence[int]) -> Alike:
    """Translate each set to indices in `order`; drops members that are not in it."""
    if not alike:
        return ()
    place_of = {position: place for place, position in enumerate(order)}
    return [[place_of[i] for i in positions if i in place_of] for positions in alike]


def _refuse_divided_groups(found: Found, config: DataConfig, groups: Sequence[str]) -> None:
    """Refuse splits of the source that divide a group."""
    splits_of: dict[str, set[SplitName]] = {}
    for group, split in zip(groups, _given(found), strict=True):
        splits_of.setdefault(group, set()).add(split)
    divided = sorted(group for group, splits in splits_of.items() if len(splits) > 1)
    if divided:
        names = [f"{group} ({', '.join(sorted(splits_of[group]))})" for group in divided]
        raise DataError(
            f"{found.source}: its splits divide groups by {name_grouping(config.split)}: "
            f"{listed(names)}. Move the examples of each group to one split, or remove the splits "
            "to let kft make them."
        )


def _refuse_missing_classes(
    found: Found, config: DataConfig, members: Mapping[SplitName, np.ndarray]
) -> None:
    """Refuse a class that train lacks, and with `split.rare: refuse` one that any split lacks."""
    present = {
        split: find_present(found.task, found.examples.targets[positions], len(found.class_names))
        for split, positions in members.items()
        if len(positions)
    }
    for (split, classes), (other, others) in product(present.items(), repeat=2):
        names = [found.class_names[index] for index in sorted(others - classes)]
        if names and (split == "train" or config.split.rare == "refuse"):
            word = found.task.noun
            fate = "learned" if split == "train" else "judged"
            raise DataError(
                f"{found.source}: {word} {listed(names)} is in the {other} split, but not in "
                f"{split}, so it cannot be {fate}. Add examples of it to {split} or "
                f"remove the {word}{_describe_alternative(found, config, split)}."
            )


def _describe_alternative(found: Found, config: DataConfig, split: SplitName) -> str:
    """Describe another remedy for a class that a split lacks; empty if there is none."""
    if config.split.file is not None:
        return ", or remove data.split.file to make a new split"
    if found.times is not None:
        return (
            ", set other shares (data.validation, data.holdout), or remove "
            "data.split.time_column to split at random"
        )
    if split == "train":
        return ""
    return (
        f", let kft take the {split} split from train, or set data.split.rare=keep_in_train to "
        "judge the other classes only"
    )


def describe_origin(found: Found, config: DataConfig, *, alike: Alike = ()) -> str:
    """Describe how the split was made; takes the arguments of `split_examples`."""
    if config.split.file is not None:
        return f"{found.source}; splits of {config.split.file}"
    given = [name for name in SPLIT_NAMES if name in (found.given_splits or ())]
    parts = [found.source]
    if given:
        parts.append(f"given: {', '.join(given)}")
    groups = find_groups(found, config.split)
    request = _make_request(found, config, groups)
    if request is not None:
        positions, unit_of = _find_units(found, config, groups, alike)
        how = (
            _describe_request(
                found, config, request, groups and [groups[int(i)] for i in positions]
            )
            if found.times is None
            else _describe_starts(find_starts(found, positions, unit_of, request.shares))
        )
        parts.append(f"taken from {'train' if given else 'all'} {how}")
        sets = sum(len(examples) > 1 for examples in alike)
        if sets and config.split.near_duplicates == "together":
            parts.append(f"near duplicates kept together ({sets} set{'s' * (sets != 1)})")
    return "; ".join(parts)


def _describe_request(
    found: Found, config: DataConfig, request: SplitRequest, groups: Sequence[str] | None
) -> str:
    """Describe a request, such as 'by speaker: 6 groups, at random, seed 0: validation 0.2'."""
    strata = f"stratified by {found.task.noun}" if found.task.is_stratified else "at random"
    how = [f"{strata}, seed {request.seed}"]
    if groups is not None:
        how.insert(0, f"by {request.grouping}: {len(set(groups))} groups")
    carved = [f"{name} {share:g}" for name, share in request.shares.items()]
    if request.folds is not None:
        carved = [f"validation is fold {request.fold} of {request.folds}, counted from 0"]
        carved += [f"holdout {config.holdout:g}"] * ("holdout" in request.shares)
    return f"{', '.join(how)}: {', '.join(carved)}"


def _describe_starts(starts: Mapping[SplitName, float]) -> str:
    """Describe a split by time, such as 'by time: validation from 2024-03-01'."""
    listing = [f"{name} from {format_time(starts[name])}" for name in SPLIT_NAMES if name in starts]
    return f"by time: {', '.join(listing)}"
