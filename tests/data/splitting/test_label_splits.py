"""Examples with several labels are stratified by all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import make_found, names_of, split_of

from kft.config import DataConfig, SplitConfig
from kft.data.splitting.split import describe_origin, split_examples
from kft.errors import DataError

REFUSE = DataConfig(split=SplitConfig(rare="refuse"))
SHARES = {"validation": 0.2, "holdout": 0.2, "train": 0.6}


def make_labels(total, rates, seed=0) -> np.ndarray:
    """Make correlated labels: most labels of an example follow its hidden mood."""
    random = np.random.default_rng(seed)
    mood = random.normal(size=(total, 1))
    threshold = np.quantile(mood, 1 - np.asarray(rates))
    return (mood + random.normal(0, 0.7, (total, len(rates))) > threshold).astype(float)


@given(
    total=st.integers(60, 150),
    rates=st.lists(st.floats(0.1, 0.8), min_size=2, max_size=6),
    seed=st.integers(0, 3),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_labels_are_split_into_a_partition_whatever_the_order(total, rates, seed, random):
    labels = make_labels(total, rates, seed)
    labels[: 3 * len(rates)] = np.tile(np.eye(len(rates)), (3, 1))
    order = list(range(total))
    random.shuffle(order)
    config = DataConfig(split_seed=seed)
    parts = split_examples(make_found(labels), config)
    assert names_of(parts) == names_of(split_examples(make_found(labels, order=order), config))
    assert len(split_of(parts)) == total
    for part in parts.values():
        assert part.targets.any(axis=0).all()


@pytest.mark.parametrize("seed", range(3))
def test_each_label_has_its_share_of_each_split(seed):
    labels = make_labels(1000, [0.5, 0.3, 0.2, 0.1, 0.05, 0.02], seed)
    parts = split_examples(make_found(labels), DataConfig(split_seed=seed))
    for split, share in SHARES.items():
        # By lot alone, three standard deviations of the rarest label would be 0.27 of its total.
        shares = parts[split].targets.sum(axis=0) / labels.sum(axis=0)
        assert np.abs(shares - share).max() < 0.03
        assert abs(len(parts[split]) / 1000 - share) < 0.03


def test_examples_without_labels_are_shared_out_too():
    labels = np.zeros((100, 2))
    labels[:10, 0] = labels[5:15, 1] = 1
    parts = split_examples(make_found(labels), DataConfig())
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 60,
        "validation": 20,
        "holdout": 20,
    }


def test_folds_of_labels_divide_what_is_not_the_holdout():
    labels = make_labels(200, [0.5, 0.3, 0.1])
    judged = []
    for fold in range(4):
        config = DataConfig(split=SplitConfig(folds=4, fold=fold))
        parts = split_examples(make_found(labels), config)
        judged += parts["validation"].ids
        rest = labels.sum(axis=0) - parts["holdout"].targets.sum(axis=0)
        assert (np.abs(parts["validation"].targets.sum(axis=0) - rest / 4) <= 2).all()
    assert sorted(judged) == sorted(
        set(make_found(labels).examples.ids) - set(parts["holdout"].ids)
    )


def test_labels_are_stratified_in_groups():
    labels = make_labels(600, [0.5, 0.3, 0.1])
    found = make_found(labels, groups=[f"g{i // 7}" for i in range(600)])
    parts = split_examples(found, DataConfig(split=SplitConfig(group_column="place")))
    side = split_of(parts)
    for group in range(600 // 7):
        assert len({side[f"{i:05d}"] for i in range(group * 7, group * 7 + 7)}) == 1
    for split, share in SHARES.items():
        shares = parts[split].targets.sum(axis=0) / labels.sum(axis=0)
        assert np.abs(shares - share).max() < 0.05


def test_one_labelled_example_more_moves_few_others():
    labels = make_labels(500, [0.5, 0.3, 0.1, 0.05])
    before = split_of(split_examples(make_found(labels), DataConfig()))
    for extra in range(4):
        ids = [*make_found(labels).examples.ids, f"new{extra}"]
        found = make_found(np.vstack([labels, np.eye(4)[extra]]), ids=ids)
        after = split_of(split_examples(found, DataConfig()))
        assert sum(after[name] != split for name, split in before.items()) <= 15


def test_a_label_that_is_too_rare_is_named():
    labels = make_labels(30, [0.5, 0.5, 0.5])
    labels[:, 1] = 0
    labels[3, 1] = 1
    with pytest.raises(
        DataError,
        match=r"label 'class1' has 1 example, .* remove the label, set data.split.rare=keep_in_tra",
    ):
        split_examples(make_found(labels), REFUSE)


def test_a_rare_label_stays_in_train_and_the_others_are_dealt_out():
    labels = make_labels(60, [0.5, 0.3, 0.2])
    labels[:, 1] = 0
    labels[[3, 11], 1] = 1
    parts = split_examples(make_found(labels), DataConfig())
    assert {"00003", "00011"} <= set(parts["train"].ids)
    assert [len(part) for part in parts.values()] == [36, 12, 12]
    assert all(part.targets[:, [0, 2]].any(axis=0).all() for part in parts.values())


def test_a_label_is_judged_though_one_of_its_few_examples_stays_in_train():
    # The first example of label 1 is the one of label 2: two are left for validation and holdout.
    labels = np.zeros((30, 3))
    labels[::2, 0] = 1
    labels[[5, 9, 14], 1] = 1
    labels[5, 2] = 1
    for seed in range(10):
        parts = split_examples(make_found(labels), DataConfig(split_seed=seed))
        assert "00005" in parts["train"].ids
        assert all(part.targets[:, 1].sum() == 1 for part in parts.values())


def test_labels_that_are_all_rare_are_refused():
    labels = np.zeros((9, 2))
    labels[0, 0] = labels[1, 1] = 1
    with pytest.raises(DataError, match="label 'class0' has 1 example, too few"):
        split_examples(make_found(labels), DataConfig())


def test_too_few_examples_of_which_no_label_is_on_are_refused():
    with pytest.raises(DataError, match="there are 2 examples, too few for train and validation"):
        split_examples(make_found(np.zeros((2, 2))), DataConfig())


def test_rare_labels_of_the_same_examples_are_everywhere_if_there_is_a_way():
    # Each label is on in three examples; those of the last two force the others apart.
    labels = np.zeros((8, 4))
    for label, examples in enumerate(([0, 1, 2], [0, 1, 3], [0, 4, 5], [1, 4, 6])):
        labels[examples, label] = 1
    for seed in range(10):
        parts = split_examples(make_found(labels), DataConfig(split_seed=seed))
        assert all(part.targets.any(axis=0).all() for part in parts.values())
    labels[:, 2] = [1, 0, 1, 1, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"found no way to keep examples whole"):
        split_examples(make_found(labels[:, :3]), DataConfig())


def test_the_origin_says_that_labels_are_stratified():
    found = make_found(make_labels(30, [0.5, 0.5]))
    assert "taken from all stratified by label, seed 0:" in describe_origin(found, DataConfig())
