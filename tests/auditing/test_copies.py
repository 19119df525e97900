"""Copies of a picture are reported once, by the most serious case that applies."""

from __future__ import annotations

import pytest

from kft.auditing.copies import find_copies, find_same_content

SAME = {"digest": "a"}


def test_different_pictures_are_no_finding(make_pictures):
    assert find_copies(make_pictures(), []) == ()


def test_copies_with_one_label_are_a_note(make_pictures):
    pictures = make_pictures(changes={0: SAME, 2: SAME, 4: SAME})
    (finding,) = find_copies(pictures, [[0, 2, 4]])
    assert (finding.kind, finding.severity) == ("duplicates", "note")
    assert finding.sentence.startswith("3 files hold the same picture under the same label.")
    assert [(file.name, file.note) for file in finding.files] == [
        ("0000.jpg", ""),
        ("0002.jpg", "same as 0000.jpg"),
        ("0004.jpg", "same as 0000.jpg"),
    ]


def test_copies_with_different_labels_are_a_problem_that_names_both(make_pictures):
    pictures = make_pictures(changes={0: SAME, 1: SAME}, splits=["train", "holdout"] * 20)
    (finding,) = find_copies(pictures, [])
    assert (finding.kind, finding.severity) == ("duplicate_labels", "problem")
    assert [file.note for file in finding.files] == [
        "labelled cat",
        "labelled dog, same as 0000.jpg",
    ]


def test_copies_in_two_splits_are_a_problem(make_pictures):
    splits = ["train"] * 20 + ["holdout"] * 20
    (finding,) = find_copies(make_pictures(changes={0: SAME, 38: SAME}, splits=splits), [])
    assert (finding.kind, finding.severity) == ("duplicate_splits", "problem")
    assert [file.note for file in finding.files] == [
        "in train",
        "in holdout, same as 0000.jpg",
    ]


@pytest.mark.parametrize(
    ("places", "kind", "severity"),
    [
        ([0, 2], "near_duplicates", "note"),
        ([0, 1], "near_duplicate_labels", "warning"),
        ([0, 38], "near_duplicate_splits", "warning"),
    ],
)
def test_what_looks_the_same_is_told_less_strictly(make_pictures, places, kind, severity):
    pictures = make_pictures(splits=["train"] * 20 + ["holdout"] * 20)
    (finding,) = find_copies(pictures, [places])
    assert (finding.kind, finding.severity) == (kind, severity)
    assert "looks like 0000.jpg" in finding.files[1].note


def test_copies_are_not_told_again_as_looking_the_same(make_pictures):
    pictures = make_pictures(changes={0: SAME, 2: SAME})
    assert [finding.kind for finding in find_copies(pictures, [[0, 2]])] == ["duplicates"]
    exact, near = find_copies(pictures, [[0, 2, 4]])
    assert [file.name for file in near.files] == ["0000.jpg", "0004.jpg"]
    assert exact.kind == "duplicates"


def test_several_sets_are_counted(make_pictures):
    pictures = make_pictures(changes={0: SAME, 2: SAME, 4: {"digest": "b"}, 6: {"digest": "b"}})
    assert find_same_content(pictures) == ((0, 2), (4, 6))
    (finding,) = find_copies(pictures, [])
    assert finding.sentence.startswith("4 files in 2 sets hold")
