"""Classes that are empty, hardly judged or outnumbered are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kft.auditing.classes import find_class_problems
from kft.tasks import find_task

EVEN = np.array([0, 1] * 10)


def test_classes_of_equal_size_are_no_finding(make_pictures):
    assert find_class_problems(make_pictures(), EVEN) == ()


def test_a_class_without_pictures_is_a_problem(make_pictures):
    pictures = make_pictures(class_names=("cat", "dog", "owl"))
    (finding,) = find_class_problems(pictures, EVEN)
    assert (finding.kind, finding.severity) == ("empty_classes", "problem")
    assert finding.sentence.startswith("Class owl: there are no usable pictures")


def test_a_class_of_which_few_are_judged_is_told(make_pictures):
    (finding,) = find_class_problems(make_pictures(), np.array([0] * 9 + [1] * 4))
    assert finding.kind == "hardly_judged_classes"
    assert finding.sentence.startswith("Class dog (4): fewer than 5")
    assert find_class_problems(make_pictures(), np.array([0] * 9 + [1] * 5)) == ()
    assert find_class_problems(make_pictures(), None) == ()


def test_imbalance_is_a_note_and_strong_imbalance_a_warning(make_pictures):
    def find(cats: int, dogs: int) -> list[tuple[str, str]]:
        pictures = make_pictures(classes=[0] * cats + [1] * dogs)
        return [(found.kind, found.severity) for found in find_class_problems(pictures, EVEN)]

    assert find(59, 20) == []
    assert find(60, 20) == [("imbalance", "note")]
    assert find(200, 20) == [("imbalance", "warning")]


def test_many_classes_are_listed_in_part(make_pictures):
    names = tuple(f"class{i:02d}" for i in range(14))
    pictures = make_pictures(classes=[0, 1] * 20, class_names=names)
    (finding,) = find_class_problems(pictures, None)
    assert finding.sentence.startswith("12 classes, class02, class03")
    assert "and 2 more: there are no usable picture" in finding.sentence


def test_labels_and_numbers_have_no_classes(make_pictures):
    pictures = make_pictures()
    numbers = np.linspace(0, 1, len(pictures), dtype=np.float32)[:, None]
    pictures = replace(pictures, targets=numbers, task=find_task("number"), class_names=("age",))
    assert find_class_problems(pictures, numbers) == ()
