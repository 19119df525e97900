"""Speakers and other groups in file names are found on both sides of the split."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from kft.auditing.shared_groups import find_shared_groups
from kft.config import SplitConfig

SPEAKERS = ("anna", "bert", "cleo", "dora")


def rename(seen, make_name):
    names = [make_name(i, seen.label(i)) for i in range(len(seen))]
    checked = [replace(each, name=name) for each, name in zip(seen.checked, names, strict=True)]
    return replace(seen, checked=tuple(checked))


@pytest.fixture
def pictures(make_pictures):
    splits = ["train", "train", "train", "holdout", "validation"] * 16
    return make_pictures(80, splits=splits)


def test_speakers_in_train_and_holdout_are_named_with_the_pattern_that_keeps_them(pictures):
    seen = rename(pictures, lambda i, label: f"a b/{label}/{i % 7}_{SPEAKERS[i // 20]}_{i}.wav")
    (finding,) = find_shared_groups(seen, SplitConfig())
    assert (finding.kind, finding.severity) == ("groups_on_both_sides", "warning")
    assert "4 values, of which 4" in finding.sentence and "anna, bert" in finding.sentence
    assert [file.note for file in finding.files] == list(SPEAKERS)
    pattern = re.search(r"group_pattern='(.*)'", finding.sentence)[1]
    found = [re.search(pattern, name)[1] for name in seen.names]
    assert found == [SPEAKERS[i // 20] for i in range(80)]
    assert find_shared_groups(seen, SplitConfig(group_pattern=pattern)) == ()


@pytest.mark.parametrize(
    "make_name",
    [
        lambda i, label: f"{i:04d}.jpg",
        lambda i, label: f"{label}_{i}.jpg",
        lambda i, label: f"IMG_{i}.jpg",
        lambda i, label: f"{'left' if i % 3 else 'right'}_{i}.jpg",
        lambda i, label: f"x{i // 2}_{i}.jpg",
        lambda i, label: f"{SPEAKERS[i // 20]}{'_again' * (i % 2)}.jpg",
    ],
    ids=["numbers", "classes", "one value", "two values", "few each", "other forms"],
)
def test_other_names_are_no_finding(make_name, pictures):
    assert find_shared_groups(rename(pictures, make_name), SplitConfig()) == ()


def test_groups_on_one_side_are_no_finding(make_pictures):
    seen = make_pictures(80, splits=["train"] * 40 + ["holdout"] * 40)
    seen = rename(seen, lambda i, label: f"{i % 7}_{SPEAKERS[i // 20]}_{i}.wav")
    assert find_shared_groups(seen, SplitConfig()) == ()
