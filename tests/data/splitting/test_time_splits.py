"""The latest examples are the holdout, and those before them validation."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import make_found, names_of, split_of

from kft.config import DataConfig, SplitConfig
from kft.data.splitting.by_time import format_time
from kft.data.splitting.split import describe_origin, split_examples
from kft.errors import DataError
from kft.examples import SPLIT_NAMES

BY_TIME = SplitConfig(time_column="taken")
CONFIG = DataConfig(split=BY_TIME)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@given(
    times=st.lists(st.integers(0, 30), min_size=3, max_size=60),
    validation=st.sampled_from([0.0, 0.1, 0.3]),
    holdout=st.sampled_from([0.1, 0.2, 0.4]),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_later_splits_are_of_later_times_whatever_the_order(times, validation, holdout, random):
    config = DataConfig(validation=validation, holdout=holdout, split=BY_TIME)
    order = list(range(len(times)))
    random.shuffle(order)
    numbers = np.arange(len(times))[:, np.newaxis] + 0.5
    if len(set(times)) < (3 if validation else 2):
        with pytest.raises(DataError, match=r"distinct times, too few for train and"):
            split_examples(make_found(numbers, times=times), config)
        return
    parts = split_examples(make_found(numbers, times=times), config)
    shuffled = split_examples(make_found(numbers, times=times, order=order), config)
    assert names_of(parts) == names_of(shuffled)
    assert len(split_of(parts)) == len(times)
    seen = [[times[int(name)] for name in parts[split].ids] for split in SPLIT_NAMES]
    seen = [part for part in seen if part]
    assert len(seen) == (3 if validation else 2)
    for earlier, later in itertools.pairwise(seen):
        assert max(earlier) < min(later)


def test_without_ties_the_shares_are_kept():
    found = make_found([0, 1] * 50, times=[float(i) for i in range(100)])
    parts = split_examples(found, CONFIG)
    assert [len(parts[split]) for split in SPLIT_NAMES] == [60, 20, 20]
    assert parts["holdout"].ids == tuple(f"{i:05d}" for i in range(80, 100))


def test_a_cut_through_one_time_moves_to_the_nearest_end_of_it():
    times = [0.0] * 4 + [1.0] * 4 + [2.0] * 2
    parts = split_examples(make_found([0, 1] * 5, times=times), CONFIG)
    assert [len(parts[split]) for split in SPLIT_NAMES] == [4, 4, 2]


def test_near_duplicates_go_where_the_latest_of_them_goes():
    found = make_found([0, 1] * 10, times=[float(i) for i in range(20)])
    parts = split_examples(found, CONFIG, alike=[(2, 19), (3, 13)])
    side = split_of(parts)
    assert side["00002"] == side["00019"] == "holdout"
    assert side["00003"] == side["00013"] == "validation"
    latest = max(int(name) for name in parts["train"].ids)
    assert latest < min(int(name) for name in parts["validation"].ids if name != "00003")
    ignoring = BY_TIME.model_copy(update={"near_duplicates": "ignore"})
    plain = split_examples(found, DataConfig(split=ignoring), alike=[(2, 19), (3, 13)])
    assert split_of(plain)["00002"] == "train"


def test_validation_is_the_latest_of_a_given_training_split():
    found = make_found(
        [0, 1] * 10,
        times=[float(i) for i in range(20)],
        given=["holdout"] * 4 + ["train"] * 16,
    )
    parts = split_examples(found, CONFIG)
    assert parts["validation"].ids == tuple(f"{i:05d}" for i in range(17, 20))
    assert parts["holdout"].ids == tuple(f"{i:05d}" for i in range(4))


def test_a_class_that_comes_up_late_is_refused():
    found = make_found([0] * 8 + [1, 0], times=[float(i) for i in range(10)])
    with pytest.raises(
        DataError,
        match=r"class1 is in the holdout split, but not in train.*remove data.split.time_column",
    ):
        split_examples(found, CONFIG)


def test_time_has_nothing_to_do_where_the_splits_are_given():
    given = ["train", "validation", "holdout"] * 2
    found = make_found([0] * 3 + [1] * 3, times=[1.0] * 6, given=given)
    with pytest.raises(DataError, match=r"test gives the splits .* nothing is left to split"):
        split_examples(found, CONFIG)


def test_an_example_without_a_time_is_named():
    found = make_found([0, 1, 0], times=[1.0, float("nan"), 2.0])
    with pytest.raises(DataError, match=r"1 of 3 examples have no time: 00001"):
        split_examples(found, CONFIG)


def test_the_origin_says_from_when_on():
    times = [seconds(f"2024-{month:02d}-01") for month in range(1, 11)]
    found = make_found([0, 1] * 5, times=times)
    assert describe_origin(found, CONFIG) == (
        "test; taken from all by time: validation from 2024-07-01, holdout from 2024-09-01"
    )
    # A near duplicate that goes to the holdout counts there.
    assert describe_origin(found, CONFIG, alike=[(0, 9)]) == (
        "test; taken from all by time: validation from 2024-08-01, holdout from 2024-10-01; "
        "near duplicates kept together (1 set)"
    )
    parts = split_examples(found, CONFIG, alike=[(0, 9)])
    assert parts["holdout"].ids == ("00000", "00009")
    assert parts["validation"].ids == ("00007", "00008")


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (seconds("2024-05-01"), "2024-05-01"),
        (seconds("2024-05-01 07:08:09"), "2024-05-01 07:08:09"),
        (2019.0, "2019"),
        (20240501.0, "20240501"),
        (1714521600000.0, "1714521600000"),
        (0.25, "0.25"),
    ],
)
def test_times_are_shown_as_people_write_them(time, text):
    assert format_time(time) == text
