"""Groups and near duplicates stay on one side, and every class is on every side."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import make_found, names_of, split_of

from kft.config import DataConfig, SplitConfig
from kft.data.splitting.split import describe_origin, split_examples
from kft.errors import DataError
from kft.examples import SPLIT_NAMES

BY_COLUMN = DataConfig(split=SplitConfig(group_column="speaker"))
SPEAKER = r"_([a-z]+)_"


def crossings(parts, groups) -> list[str]:
    """Find the groups that are in more than one part; `groups` maps names of examples to groups."""
    splits = {}
    for name, split in split_of(parts).items():
        splits.setdefault(groups[name], set()).add(split)
    return [group for group, seen in splits.items() if len(seen) > 1]


@st.composite
def grouped_targets(draw):
    """Draw groups with their classes, each class in at least six groups."""
    num_classes = draw(st.integers(2, 4))
    num_groups = draw(st.integers(6, 14))
    pairs = [(group, index) for group in range(num_groups) for index in range(num_classes)]
    more = draw(st.lists(st.sampled_from(pairs), max_size=40))
    return sorted(pairs + more)


@given(
    pairs=grouped_targets(),
    folds=st.sampled_from([None, 2, 3]),
    seed=st.integers(0, 3),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_groups_stay_whole_and_classes_everywhere_whatever_the_order(pairs, folds, seed, random):
    groups = [f"g{group}" for group, _ in pairs]
    targets = [index for _, index in pairs]
    order = list(range(len(pairs)))
    random.shuffle(order)
    held = []
    for fold in range(folds or 1):
        split = SplitConfig(group_column="speaker", folds=folds, fold=fold)
        config = DataConfig(split=split, split_seed=seed)
        found = make_found(targets, groups=groups)
        parts = split_examples(found, config)
        shuffled = split_examples(make_found(targets, groups=groups, order=order), config)
        assert names_of(parts) == names_of(shuffled)
        assert sorted(split_of(parts)) == list(found.examples.ids)
        assert not crossings(parts, dict(zip(found.examples.ids, groups, strict=True)))
        for part in parts.values():
            assert set(part.targets) == set(targets)
        held += [*parts["validation"].ids, *(parts["holdout"].ids if fold == 0 else ())]
    assert folds is None or sorted(held) == list(found.examples.ids)


def can_be_dealt(classes_of_groups, num_parts) -> bool:
    """Try all assignments of groups for one with every class in every part."""
    everything = set().union(*classes_of_groups)
    return any(
        all(
            set().union(*(c for c, p in zip(classes_of_groups, parts, strict=True) if p == part))
            == everything
            for part in range(num_parts)
        )
        for parts in itertools.product(range(num_parts), repeat=len(classes_of_groups))
    )


@given(
    classes=st.lists(st.sets(st.integers(0, 3), min_size=1, max_size=3), min_size=3, max_size=7),
    shares=st.sampled_from([(0.2, 0.2), (0.3, 0.0)]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_way_to_have_every_class_everywhere_is_found_if_there_is_one(classes, shares):
    ranked = sorted(set().union(*classes))
    pairs = [(f"g{i}", ranked.index(c)) for i, inside in enumerate(classes) for c in inside]
    found = make_found([index for _, index in pairs], groups=[group for group, _ in pairs])
    config = DataConfig(
        validation=shares[0],
        holdout=shares[1],
        split=SplitConfig(group_column="speaker", rare="refuse"),
    )
    if can_be_dealt(classes, 1 + sum(share > 0 for share in shares)):
        parts = split_examples(found, config)
        assert all(set(p.targets) == set(range(len(ranked))) for p in parts.values() if len(p))
    else:
        with pytest.raises(DataError, match=r"too few for|found no way to keep groups"):
            split_examples(found, config)


@given(
    classes=st.lists(st.sets(st.integers(0, 4), min_size=1, max_size=3), min_size=3, max_size=9),
    seed=st.integers(0, 3),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_a_class_in_few_groups_stays_in_train_whole_or_there_is_nothing_to_judge(classes, seed):
    ranked = sorted(set().union(*classes))
    pairs = [(f"g{i}", ranked.index(c)) for i, inside in enumerate(classes) for c in inside]
    found = make_found([index for _, index in pairs], groups=[group for group, _ in pairs])
    config = DataConfig(split_seed=seed, split=SplitConfig(group_column="speaker"))
    try:
        parts = split_examples(found, config)
    except DataError as refusal:
        assert re.search(r"too few for|found no way to keep groups", str(refusal))
        assert not can_be_dealt(classes, 3)
        return
    groups = dict(zip(found.examples.ids, found.groups, strict=True))
    assert crossings(parts, groups) == []
    seen = {name: set(part.targets.tolist()) for name, part in parts.items()}
    assert seen["train"] == set(range(len(ranked)))
    assert seen["validation"] == seen["holdout"]
    assert len(seen["holdout"]) >= min(2, len(ranked))
    if can_be_dealt(classes, 3):
        assert seen["holdout"] == seen["train"]


def test_groups_are_stratified_as_well_as_they_allow():
    # 60 patients with 2 to 20 pictures each; a third of them are ill, with a rare third class.
    random = np.random.default_rng(3)
    pairs = []
    for patient in range(60):
        kinds = [0, 0, 1] if patient % 3 else [1, 2]
        pairs += [(f"p{patient}", random.choice(kinds)) for _ in range(random.integers(2, 21))]
    targets = np.asarray([index for _, index in pairs])
    for seed in range(5):
        config = DataConfig(split=SplitConfig(group_column="patient"), split_seed=seed)
        found = make_found(targets, groups=[group for group, _ in pairs])
        parts = split_examples(found, config)
        for index in range(3):
            total = (targets == index).sum()
            for split, share in (("validation", 0.2), ("holdout", 0.2), ("train", 0.6)):
                assert abs((parts[split].targets == index).sum() / total - share) < 0.03


def test_another_seed_deals_the_groups_out_in_another_way():
    groups = [f"g{i // 6}" for i in range(120)]
    found = make_found([0, 1, 1] * 40, groups=groups)
    holdouts = {
        split_examples(found, BY_COLUMN.model_copy(update={"split_seed": seed}))["holdout"].ids
        for seed in range(5)
    }
    assert len(holdouts) == 5


def test_too_few_groups_are_told_with_what_to_do():
    found = make_found([0, 1] * 10, groups=["ann", "bob"] * 10)
    with pytest.raises(DataError) as refusal:
        split_examples(found, BY_COLUMN)
    assert str(refusal.value) == (
        "test: class 'class0' has 1 group by speaker, too few for train and validation and "
        "holdout, which need at least 3; so do 'class1' (1). Add examples of other groups, remove "
        "the class, or use data.validation=0 and data.holdout=0."
    )


def test_groups_that_cannot_be_dealt_out_are_told():
    # Each class is in three groups, but any three of these four share two classes.
    groups = {"a": "012", "b": "013", "c": "023", "d": "123"}
    pairs = [(group, int(index)) for group, inside in groups.items() for index in inside]
    found = make_found([index for _, index in pairs], groups=[group for group, _ in pairs])
    with pytest.raises(DataError, match=r"found no way to keep groups by speaker whole and"):
        split_examples(found, BY_COLUMN)


def test_a_group_that_given_splits_divide_is_named():
    found = make_found(
        [0, 1] * 6, groups=["a", "a", "b", "b"] * 3, given=["train"] * 9 + ["holdout"] * 3
    )
    with pytest.raises(DataError, match=r"divide groups by speaker: a \(holdout, train\), b"):
        split_examples(found, BY_COLUMN)


def test_validation_is_carved_by_group_from_a_given_training_split():
    groups = [f"{split}{i % 4}" for i, split in enumerate(["train"] * 16 + ["holdout"] * 8)]
    found = make_found(
        [i // 4 % 2 for i in range(24)], groups=groups, given=["train"] * 16 + ["holdout"] * 8
    )
    parts = split_examples(found, BY_COLUMN)
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 12,
        "validation": 4,
        "holdout": 8,
    }
    assert not crossings(parts, dict(zip(found.examples.ids, groups, strict=True)))


def test_a_pattern_finds_groups_in_names():
    ids = [f"{digit}_{name}_{take}.wav" for name in "abcde" for digit in "01" for take in "01"]
    found = make_found([int(name[0]) for name in ids], ids=ids)
    for pattern in (SPEAKER, r"(?<=_)[a-z]", r"_(?P<speaker>[a-z]+)_(\d)"):
        config = DataConfig(split=SplitConfig(group_pattern=pattern))
        parts = split_examples(found, config)
        assert [len(parts[split]) for split in SPLIT_NAMES] == [12, 4, 4]
        assert not crossings(parts, {name: name[2] for name in ids})
    assert ": by" not in describe_origin(found, config)
    assert "by speaker: 5 groups" in describe_origin(found, config)


@pytest.mark.parametrize("pattern", [SPEAKER, r"_([a-z]*)_", r"_(?:x|([a-z]+))_"])
def test_a_name_in_which_the_pattern_finds_no_group_is_told(pattern):
    ids = ["0_ann_1", "0_bob_1", "0__1", "0_x_1"][: 4 if "x" in pattern else 3]
    with pytest.raises(DataError) as refusal:
        split_examples(
            make_found([0] * len(ids), ids=ids),
            DataConfig(split=SplitConfig(group_pattern=pattern)),
        )
    assert re.match(
        r"data.split.group_pattern: '.*' finds no group in \d of \d names: 0__1", str(refusal.value)
    )


def test_a_blank_group_is_refused():
    found = make_found([0, 1, 0], groups=["a", " ", "b"])
    with pytest.raises(DataError, match=r"column 'speaker' .* is blank for 1 of 3 examples: 00001"):
        split_examples(found, BY_COLUMN)


def test_groups_from_both_a_column_and_a_pattern_are_refused():
    found = make_found([0, 1, 0], groups=["a", "a", "b"])
    with pytest.raises(DataError, match=r"group_pattern: test gives the groups already"):
        split_examples(found, DataConfig(split=SplitConfig(group_pattern=".")))


@given(
    alike=st.lists(st.sets(st.integers(0, 59), min_size=2, max_size=4), max_size=8),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_near_duplicates_stay_on_one_side_whatever_the_order(alike, random):
    order = list(range(60))
    random.shuffle(order)
    place_of = {position: place for place, position in enumerate(order)}
    targets = np.arange(60) % 2
    parts = split_examples(make_found(targets), DataConfig(), alike=[sorted(s) for s in alike])
    shuffled = split_examples(
        make_found(targets, order=order),
        DataConfig(),
        alike=[[place_of[i] for i in positions] for positions in alike],
    )
    assert names_of(parts) == names_of(shuffled)
    side = split_of(parts)
    assert len(side) == 60
    for positions in alike:
        assert len({side[f"{i:05d}"] for i in positions}) == 1
    for part in parts.values():
        assert set(part.targets) == {0, 1}


def test_near_duplicates_may_be_ignored():
    found = make_found([0] * 30 + [1] * 30)
    alike = [range(0, 30, 3), range(31, 60, 3)]
    plain = split_examples(found, DataConfig())
    together = split_examples(found, DataConfig(), alike=alike)
    ignoring = DataConfig(split=SplitConfig(near_duplicates="ignore"))
    assert names_of(split_examples(found, ignoring, alike=alike)) == names_of(plain)
    assert names_of(together) != names_of(plain)
    assert "near duplicates" not in describe_origin(found, ignoring, alike=alike)


def test_a_few_near_duplicates_move_few_examples():
    found = make_found([0] * 300 + [1] * 300)
    plain = split_of(split_examples(found, DataConfig()))
    together = split_of(split_examples(found, DataConfig(), alike=[(3, 77), (310, 450, 590)]))
    assert sum(together[name] != split for name, split in plain.items()) <= 12


def test_a_class_of_near_duplicates_alone_is_refused():
    with pytest.raises(
        DataError,
        match=r"'class1' has 2 sets of near duplicates, too few .*near_duplicates=ignore",
    ):
        split_examples(
            make_found([0] * 9 + [1] * 6), DataConfig(), alike=[(9, 10, 11), (12, 13, 14)]
        )


def test_a_copy_joins_the_groups_that_it_is_in():
    groups = [f"g{i // 4}" for i in range(40)]
    found = make_found(np.arange(40) % 2, groups=groups)
    for seed in range(5):
        config = BY_COLUMN.model_copy(update={"split_seed": seed})
        side = split_of(split_examples(found, config, alike=[(0, 39)]))
        assert len({side[f"{i:05d}"] for i in (*range(4), *range(36, 40))}) == 1


def test_no_speaker_of_the_spoken_digits_is_on_two_sides(shared):
    names = sorted(p.name for p in (shared / "data/audio/spoken_digits/recordings").glob("*.wav"))
    assert len(names) == 600
    found = make_found([int(name.split("_")[0]) for name in names], ids=names)
    config = DataConfig(split=SplitConfig(group_pattern=r"_(?P<speaker>[a-z]+)_"))
    parts = split_examples(found, config)
    speakers = {
        split: sorted({name.split("_")[1] for name in part.ids}) for split, part in parts.items()
    }
    assert sorted(itertools.chain(*speakers.values())) == [
        "george",
        "jackson",
        "lucas",
        "nicolas",
        "theo",
        "yweweler",
    ]
    assert [len(speakers[split]) for split in SPLIT_NAMES] == [4, 1, 1]
    for part in parts.values():
        assert set(part.targets) == set(range(10))
    assert "by speaker: 6 groups" in describe_origin(found, config)
