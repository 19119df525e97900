"""Findings about boxes: odd sizes and shapes, two classes at one place, outnumbered classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kft.auditing.boxes import find_box_problems
from kft.tasks import find_task

CAT, DOG = [0, 0.2, 0.2, 0.4, 0.4], [1, 0.5, 0.5, 0.8, 0.7]
GONE = [-1.0] * 5


def find(make_pictures, changes):
    """Find problems in 24 pictures with a cat and a dog each, some with other boxes."""
    rows = [changes.get(place, [CAT, DOG]) for place in range(24)]
    targets = np.array([[*boxes, *[GONE] * (3 - len(boxes))] for boxes in rows], np.float32)
    seen = replace(make_pictures(24), targets=targets, task=find_task("boxes"))
    return {finding.kind: finding for finding in find_box_problems(seen)}


def test_ordinary_boxes_have_no_findings(make_pictures):
    assert not find(make_pictures, {})


def test_a_box_far_from_the_size_or_shape_of_its_class_is_named(make_pictures):
    found = find(
        make_pictures,
        {3: [[0, 0.1, 0.1, 0.11, 0.11], DOG], 5: [CAT, [1, 0, 0.5, 0.9, 0.51]]},
    )
    odd = found.pop("odd_boxes")
    assert not found
    assert {each.name for each in odd.files} == {"0003.jpg", "0005.jpg"}
    notes = {each.name: each.note for each in odd.files}
    assert notes["0003.jpg"] == "cat at 10 %, 10 %, 11 %, 11 %: 20.0 times as small"
    assert "times as wide" in notes["0005.jpg"]


def test_two_classes_at_one_place_are_named(make_pictures):
    found = find(make_pictures, {7: [CAT, [1, *CAT[1:]], DOG]})
    (flagged,) = found["boxes_at_one_place"].files
    assert (flagged.name, flagged.note) == ("0007.jpg", "cat and dog at 20 %, 20 %, 40 %, 40 %")


def test_a_class_with_few_boxes_is_said(make_pictures):
    found = find(make_pictures, {place: [CAT] for place in range(1, 24)})
    assert found["box_imbalance"].severity == "warning"
    assert "Class cat has 24.0 times as many boxes as dog (24 and 1)" in (
        found["box_imbalance"].sentence
    )


def test_other_targets_have_no_boxes(make_pictures):
    assert find_box_problems(make_pictures()) == ()
