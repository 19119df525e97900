"""Interpretation of several values per record, for any kind of file."""

from __future__ import annotations

import math

import pytest

from kft.data.sources.unpacking import Unpacked, to_found
from kft.errors import DataError
from kft.tasks import find_task


def understand(labels, target="auto", *, class_names=(), on_invalid_file="quarantine"):
    names = tuple(f"a.tfrecord#{number}" for number in range(len(labels)))
    unpacked = Unpacked(names, names, (None,) * len(labels), tuple(labels), ())
    return to_found(
        unpacked,
        class_names=class_names,
        task=find_task(target),
        source="TFRecord a",
        on_invalid_file=on_invalid_file,
    )


def test_one_value_other_than_0_and_1_is_asked_about_by_its_record():
    labels = [[1.0, 0.0], [1.0, 1.0], [0.0, -1.0]]
    with pytest.raises(DataError, match="5 are 0 or 1 and 1 is not") as error:
        understand(labels, class_names=("red", "round"))
    assert "a.tfrecord#2: -1 in 'round'" in str(error.value)
    found = understand(labels, "labels", class_names=("red", "round"))
    assert found.examples.targets.tolist() == [[1, 0], [1, 1]]
    assert [bad.reason for bad in found.quarantined] == [
        "-1 in label 'round'; a label is 0 or 1. For amounts set data.target=number"
    ]
    with pytest.raises(DataError, match="1 of 3 records cannot be used"):
        understand(labels, "labels", on_invalid_file="stop")
    assert understand(labels, "number").examples.targets.tolist() == labels


def test_one_hot_records_are_classes_and_said():
    found = understand([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], class_names=("wasp", "ant"))
    assert (found.task.word, found.class_names) == ("class", ("wasp", "ant"))
    assert found.examples.targets.tolist() == [1, 0, 0]
    assert "in each of 3 records" in found.notes[0]
    found = understand([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], "class")
    assert len(found.examples) == 2
    assert "2 of the one-hot columns are 1" in found.quarantined[0].reason


def test_a_single_flag_is_asked_about():
    with pytest.raises(DataError, match=r"data.target=labels \(one label, yes or no\)"):
        understand([[0.0], [1.0]])
    assert understand([[0.0], [1.0]], "labels").task.word == "labels"
    with pytest.raises(DataError, match="one number per record that is not a class index"):
        understand([[0.0], [1.0]], "class")


def test_a_record_with_a_value_that_is_no_number_is_left_out():
    found = understand([[0.5, 2.5], [2.5, 3.0], [math.nan, 1.0]])
    assert (found.task.word, len(found.examples)) == ("number", 2)
    assert found.quarantined[0].reason == "a value is not a finite number"
