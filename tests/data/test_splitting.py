from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.config.schema import DataConfig
from kft.data.found import Found
from kft.data.splits import SPLIT_NAMES, Examples, Splits
from kft.data.splitting import split_examples, write_splits_csv
from kft.errors import DataError

CONFIG = DataConfig()


def found_of(counts, order=None, given_splits=None) -> Found:
    """Examples of so many per class, in the order of `order`."""
    targets = [index for index, count in enumerate(counts) for _ in range(count)]
    ids = [f"{target}/{number}" for number, target in enumerate(targets)]
    order = list(range(len(ids))) if order is None else order
    return Found(
        examples=Examples(
            ids=tuple(ids[i] for i in order),
            paths=tuple(f"/data/{ids[i]}" for i in order),
            targets=np.asarray([targets[i] for i in order], np.int64),
        ),
        given_splits=given_splits,
        target_kind="class",
        class_names=tuple(f"class{i}" for i in range(len(counts))),
        source="test",
    )


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
        for name, path, target in zip(part.ids, part.paths, part.targets, strict=True):
            assert path == f"/data/{name}" and name.startswith(f"{target}/")


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


def test_numbers_are_split_without_strata():
    examples = Examples(
        ids=tuple(f"{i:02d}" for i in range(20)),
        paths=tuple(f"/{i}" for i in range(20)),
        targets=np.arange(20, dtype=np.float32)[:, np.newaxis],
    )
    found = Found(examples, None, "number", ("age",), "test")
    parts = split_examples(found, CONFIG)
    assert [len(parts[split]) for split in SPLIT_NAMES] == [12, 4, 4]


def make_splits(kind, class_names, targets) -> Splits:
    train = Examples(("a,b", "c"), ("/a", "/c"), np.asarray(targets))
    none = train.take([])
    return Splits(train, none, none, kind, class_names, "f", "o")


@pytest.mark.parametrize(
    ("kind", "targets", "written"),
    [
        ("class", [1, 0], ["dog", "cat"]),
        ("labels", [[1.0, 1.0], [0.0, 0.0]], ["cat;dog", ""]),
        ("number", [[0.5, 2.0], [1e9, -3.25]], ["0.5;2", "1e+09;-3.25"]),
    ],
)
def test_a_split_is_written_with_targets_as_people_read_them(tmp_path, kind, targets, written):
    write_splits_csv(make_splits(kind, ("cat", "dog"), targets), tmp_path / "splits.csv")
    with open(tmp_path / "splits.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["split", "id", "target"],
        ["train", "a,b", written[0]],
        ["train", "c", written[1]],
    ]
