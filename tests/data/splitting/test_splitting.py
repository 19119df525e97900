from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import make_found, split_of

from kft.config import DataConfig, SplitConfig
from kft.data.splitting.split import describe_origin, split_examples
from kft.errors import DataError
from kft.examples import SPLIT_NAMES

CONFIG = DataConfig()


def found_of(counts, order=None, given_splits=None):
    """Make the given number of examples per class, in the order of `order`."""
    targets = [index for index, count in enumerate(counts) for _ in range(count)]
    ids = [f"{target}/{number}" for number, target in enumerate(targets)]
    return make_found(targets, ids=ids, order=order, given=given_splits)


@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=5),
    validation=st.floats(0.0, 0.45),
    holdout=st.floats(0.0, 0.45),
    seed=st.integers(0, 5),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_split_is_a_stratified_partition_whatever_the_order(
    counts, validation, holdout, seed, random
):
    config = DataConfig(validation=validation, holdout=holdout, split_seed=seed)
    order = list(range(sum(counts)))
    random.shuffle(order)
    parts = split_examples(found_of(counts), config)
    shuffled = split_examples(found_of(counts, order), config)
    ids = [name for split in SPLIT_NAMES for name in parts[split].ids]
    assert sorted(ids) == sorted(found_of(counts).examples.ids)
    assert len(set(ids)) == len(ids)
    assert {s: p.ids for s, p in parts.items()} == {s: p.ids for s, p in shuffled.items()}
    for index, count in enumerate(counts):
        taken = {split: int((parts[split].targets == index).sum()) for split in SPLIT_NAMES}
        assert taken["train"] >= 1
        for split, share in (("validation", validation), ("holdout", holdout)):
            assert (taken[split] == 0) == (share == 0.0)
            assert abs(taken[split] - share * count) <= 1.0


def test_another_seed_gives_another_split():
    one = split_examples(found_of([50, 50]), CONFIG)
    other = split_examples(found_of([50, 50]), DataConfig(split_seed=1))
    assert one["holdout"].ids != other["holdout"].ids


def test_targets_and_paths_stay_with_their_ids():
    for part in split_examples(found_of([9, 9, 9]), CONFIG).values():
        for name, path, target in zip(part.ids, part.inputs.paths, part.targets, strict=True):
            assert path == f"/data/{name}" and name.startswith(f"{target}/")


def test_examples_of_one_group_or_that_look_the_same_are_one_unit():
    found = make_found([0, 1] * 10, groups=[f"g{i // 4}" for i in range(20)])
    parts = split_examples(found, CONFIG, alike=[(0, 19)])
    units = {
        name: unit
        for part in parts.values()
        for name, unit in zip(part.ids, part.units, strict=True)
    }
    assert len(set(units.values())) == 4
    assert len({units[f"{i:05d}"] for i in (0, 1, 2, 3, 16, 17, 18, 19)}) == 1
    plain = split_examples(make_found([0, 1] * 10), CONFIG)
    assert all(part.units is None for part in plain.values())
    ignored = DataConfig(split=SplitConfig(near_duplicates="ignore"))
    parts = split_examples(make_found([0, 1] * 10), ignored, alike=[(0, 19)])
    assert all(part.units is None for part in parts.values())


def test_given_splits_are_kept_and_missing_ones_carved_from_train():
    given_splits = ("train",) * 30 + ("holdout",) * 6 + ("train",) * 20 + ("holdout",) * 4
    found = found_of([36, 24], given_splits=given_splits)
    parts = split_examples(found, CONFIG)
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 40,
        "validation": 10,
        "holdout": 10,
    }
    assert set(parts["holdout"].ids) == {
        name
        for name, split in zip(found.examples.ids, given_splits, strict=True)
        if split == "holdout"
    }


def test_a_share_of_zero_gives_an_empty_split():
    parts = split_examples(found_of([2, 2]), DataConfig(validation=0, holdout=0))
    assert Counter({split: len(part) for split, part in parts.items()}) == {
        "train": 4,
        "validation": 0,
        "holdout": 0,
    }


def test_a_class_too_small_for_its_splits_is_named():
    with pytest.raises(DataError, match=r"class 'class1' has 2 examples.*at least 3.*holdout=0"):
        split_examples(found_of([9, 2]), CONFIG)


def test_a_class_that_train_lacks_is_refused():
    found = found_of([3, 3], given_splits=("train",) * 3 + ("holdout",) * 3)
    with pytest.raises(DataError, match=r"class class1 is in the holdout split, but not in train"):
        split_examples(found, CONFIG)


def test_a_class_that_a_given_split_lacks_is_not_judged_there_or_refused():
    given_splits = ("train",) * 6 + ("holdout",) * 3 + ("train",) * 3
    found = found_of([9, 3], given_splits=given_splits)
    with pytest.raises(DataError, match=r"class class1 is in the train split, but not in holdout"):
        split_examples(found, DataConfig(split=SplitConfig(rare="refuse")))
    assert set(split_examples(found, CONFIG)["holdout"].targets) == {0}


@pytest.mark.parametrize(
    ("split", "rare_total"),
    [({}, 1), ({}, 2), ({"folds": 3}, 3), ({"folds": 3, "fold": 2}, 1)],
)
def test_a_rare_class_stays_in_train_and_the_others_are_everywhere(split, rare_total):
    for seed in range(3):
        config = DataConfig(split=SplitConfig(**split), split_seed=seed)
        parts = split_examples(found_of([12, rare_total, 9]), config)
        counts = {name: Counter(part.targets.tolist()) for name, part in parts.items()}
        assert all(counts[name][0] and counts[name][2] for name in SPLIT_NAMES)
        # What is enough for the folds, though not for a holdout besides, is judged in them.
        held = 1 if rare_total == 3 else 0
        assert counts["train"][1] == rare_total - held
        assert counts["holdout"][1] == 0


def test_a_rare_class_leaves_the_split_of_the_others_as_it_was():
    without = split_of(split_examples(found_of([12, 9]), CONFIG))
    with_rare = split_of(split_examples(found_of([12, 9, 1]), CONFIG))
    assert with_rare == {**without, "2/21": "train"}


def test_several_small_classes_are_told_at_once():
    with pytest.raises(DataError, match=r"'class1' has 2 examples, .*so do 'class2' \(1\)\. Add"):
        split_examples(found_of([9, 2, 1]), CONFIG)


def test_data_without_training_examples_are_refused():
    with pytest.raises(DataError, match="no example is in the train split"):
        split_examples(found_of([2, 2], given_splits=("holdout",) * 4), CONFIG)


def test_numbers_are_split_without_strata():
    found = make_found(np.arange(0.5, 20.5)[:, np.newaxis])
    parts = split_examples(found, CONFIG)
    assert [len(parts[split]) for split in SPLIT_NAMES] == [12, 4, 4]
    with pytest.raises(DataError, match=r"there are 2 examples, too few .*, or use"):
        split_examples(make_found([[0.5], [1.5]]), CONFIG)


def test_a_name_that_is_no_text_is_split_like_any_other():
    ids = [*(f"{i}.png" for i in range(11)), b"\xff.png".decode(errors="surrogateescape")]
    parts = split_examples(make_found([0, 1] * 6, ids=ids), CONFIG)
    assert sorted(name for part in parts.values() for name in part.ids) == sorted(ids)


@pytest.mark.parametrize("folds", [None, 5])
def test_one_example_more_moves_few_others(folds):
    config = DataConfig(split=SplitConfig(folds=folds))
    before = split_of(split_examples(found_of([300, 200]), config))
    for extra in ("0/new", "0/another", "0/0a"):
        found = make_found(
            [*([0] * 300), *([1] * 200), 0],
            ids=[*found_of([300, 200]).examples.ids, extra],
        )
        after = split_of(split_examples(found, config))
        assert sum(after[name] != split for name, split in before.items()) <= 8


@given(
    counts=st.lists(st.integers(7, 30), min_size=2, max_size=4),
    folds=st.integers(2, 5),
    holdout=st.sampled_from([0.0, 0.2]),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_folds_divide_what_is_not_the_holdout_stratified(counts, folds, holdout, random):
    order = list(range(sum(counts)))
    random.shuffle(order)
    plain = split_examples(found_of(counts), DataConfig(holdout=holdout))
    judged = []
    for fold in range(folds):
        config = DataConfig(holdout=holdout, split=SplitConfig(folds=folds, fold=fold))
        parts = split_examples(found_of(counts, order), config)
        assert sum(map(len, parts.values())) == sum(counts)
        assert parts["holdout"].ids == plain["holdout"].ids
        judged += parts["validation"].ids
        for index in range(len(counts)):
            rest = counts[index] - int((parts["holdout"].targets == index).sum())
            assert abs(int((parts["validation"].targets == index).sum()) - rest / folds) < 1
    assert sorted(judged) == sorted(set(found_of(counts).examples.ids) - set(plain["holdout"].ids))


def test_folds_are_of_one_size_though_classes_do_not_divide():
    sizes = [
        len(
            split_examples(
                found_of([6] * 10),
                DataConfig(holdout=0, split=SplitConfig(folds=5, fold=fold)),
            )["validation"]
        )
        for fold in range(5)
    ]
    assert sizes == [12] * 5


def test_a_class_too_small_for_the_folds_is_named():
    config = DataConfig(split=SplitConfig(folds=5, rare="refuse"))
    with pytest.raises(
        DataError, match=r"'class1' has 5 examples, too few for 5 folds and the holdout.* least 6"
    ):
        split_examples(found_of([9, 5]), config)
    with pytest.raises(
        DataError, match=r"'class0' has 4 examples besides the holdout, too few for 5 folds"
    ):
        split_examples(found_of([7, 20]), DataConfig(holdout=0.4, split=SplitConfig(folds=5)))


def test_folds_and_a_given_validation_split_are_refused():
    given_splits = (("train",) * 6 + ("validation",) * 2) * 2
    with pytest.raises(DataError, match=r"data.split.folds: test gives its validation examples"):
        split_examples(
            found_of([8, 8], given_splits=given_splits), DataConfig(split=SplitConfig(folds=2))
        )


def test_settings_that_need_a_table_say_so():
    for name in ("group_column", "time_column"):
        with pytest.raises(DataError, match=rf"data.split.{name}: test has no columns"):
            split_examples(found_of([9, 9]), DataConfig(split=SplitConfig(**{name: "x"})))


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({}, "test; taken from all stratified by class, seed 0: validation 0.2, holdout 0.2"),
        (
            {"folds": 5, "fold": 2},
            "test; taken from all stratified by class, seed 0: validation is fold 2 of 5, counted "
            "from 0, holdout 0.2",
        ),
        (
            {"group_pattern": "^(?P<speaker>.)"},
            "test; taken from all by speaker: 2 groups, stratified by class, seed 0: "
            "validation 0.2, holdout 0.2",
        ),
        ({"file": "a/splits.csv"}, "test; splits of a/splits.csv"),
    ],
)
def test_the_origin_says_how_the_split_was_made(split, words):
    assert describe_origin(found_of([9, 9]), DataConfig(split=SplitConfig(**split))) == words


def test_the_origin_tells_what_was_given_and_what_was_kept_together():
    found = found_of([9, 9], given_splits=(("holdout",) * 3 + ("train",) * 6) * 2)
    assert describe_origin(found, CONFIG, alike=[(4, 5), (13, 14, 15)]) == (
        "test; given: train, holdout; taken from train stratified by class, seed 0: "
        "validation 0.2; near duplicates kept together (2 sets)"
    )
