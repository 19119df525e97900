"""Targets are parsed by the task that the values imply, and ambiguous values are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.errors import DataError
from kft.tasks import find_task
from kft.tasks.guessing import parse_fields
from kft.tasks.vectors import Vectors


def parse(rows, target="auto", names=None):
    values = np.asarray(rows, np.float64)
    names = names or tuple("abcdefgh"[: values.shape[1]])
    fields = Vectors(values, names, "t.csv", "line", "line {}".format)
    return parse_fields(fields, find_task(target))


def refusal(rows, target="auto") -> str:
    with pytest.raises(DataError) as error:
        parse(rows, target)
    return str(error.value)


LABELS = [[0, 1], [1, 1], [0, 0], [1, 0]]


def test_zeros_and_ones_in_every_column_are_labels():
    targets = parse(LABELS)
    assert (targets.task.word, targets.names, targets.notes) == ("labels", ("a", "b"), ())
    assert targets.values.dtype == np.float32


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(*[st.sampled_from((0.0, 1.0))] * 3), min_size=1, max_size=30),
    odd=st.sampled_from((-1.0, 2.0, 0.5, 10.0)),
    data=st.data(),
)
def test_a_single_other_value_among_labels_is_named_and_never_makes_a_regression(rows, odd, data):
    values = np.asarray(rows)
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 2))
    values[row, column] = odd
    message = refusal(values)
    assert f"line {row}: {odd:.9g} in {'abc'[column]!r}" in message
    assert "data.target=labels" in message
    assert "data.target=number" in message


def test_many_other_values_among_labels_are_counted_and_the_first_are_named():
    message = refusal([[0, 3], [1, 4], [1, 5], [0, 6], [1, 7], [0, 8], [1, 9]])
    assert "of 14 values in a, b, 7 are 0 or 1 and 7 are not" in message
    assert "7 lines would be left out" in message
    assert "line 4: 7 in 'b'" in message
    assert "line 5" not in message
    assert message.endswith("\n  and 2 more")


def test_soft_labels_and_whole_numbers_are_ambiguous():
    # 0.5 means `uncertain` in many tables of labels, and whole numbers may be grades.
    assert "does not guess" in refusal([[0, 0.5], [0.5, 1], [1, 0], [0, 1]])
    assert "does not guess" in refusal([[3, 5], [2, 4]])
    assert "does not guess" in refusal([[3.5, 5], [2, 4]])


def test_fractions_in_every_column_are_numbers():
    targets = parse([[0.25, 12.5], [1, 3], [7.5, 0]])
    assert (targets.task.word, targets.notes) == ("number", ())
    assert parse(LABELS, "number").task.word == "number"


def test_one_hot_rows_are_classes_with_a_note():
    targets = parse([[0, 1], [1, 0], [0, 1]], names=("dog", "cat"))
    assert (targets.task.word, targets.names) == ("class", ("dog", "cat"))
    assert targets.values.tolist() == [1, 0, 1]
    (note,) = targets.notes
    assert "exactly one of dog, cat is 1 in each of 3 lines" in note
    assert "data.target=labels" in note
    assert parse([[0, 1], [1, 0]], "labels").task.word == "labels"
    assert parse([[0, 1], [1, 0]], "class").notes == ()


@pytest.mark.parametrize("odd", [[0, 0], [1, 1]])
def test_nearly_one_hot_columns_are_refused(odd):
    message = refusal([[0, 1]] * 19 + [[1, 0]] * 20 + [odd])
    assert "exactly one of a, b is 1 in 39 of 40 lines" in message
    assert "data.target=class (one class each: 1 line would be left out)" in message
    assert f"line 39: {sum(odd)} of 2" in message
    # With this many of them, examples with several labels are not a mistake.
    assert parse([[0, 1]] * 18 + [odd] * 2 + [[1, 0]]).task.word == "labels"


def test_a_single_column_of_0_and_1_is_ambiguous():
    assert "data.target=labels (one label, yes or no)" in refusal([[0], [1]])
    assert parse([[0], [1]], "labels").task.word == "labels"


@pytest.mark.parametrize(
    ("values", "target", "problem"),
    [
        ([0, 2], "labels", "2 in label 'b'; a label is 0 or 1. For amounts set data.target=number"),
        ([0, -1], "class", "-1 in label 'b'; a label is 0 or 1"),
        ([1, 1], "class", "2 of the one-hot columns are 1 (a, b), but an example has exactly"),
        ([0, 0], "class", "0 of the one-hot columns are 1, but an example has exactly one class"),
        ([0, 2], "number", None),
        ([1, 1], "labels", None),
        ([0, 1], "class", None),
    ],
)
def test_values_that_contradict_the_target_are_a_problem(values, target, problem):
    found = find_task(target).find_value_problem(values, ("a", "b"))
    assert (found is None) == (problem is None)
    assert found is None or found.startswith(problem)
