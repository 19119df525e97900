from __future__ import annotations

from kft.data.reason_groups import list_by_reason


def test_a_reason_of_many_is_told_once_with_its_count():
    problems = [(f"t.csv, line {n}: {n}.jpg", "there is no such file") for n in range(2, 502)]
    assert list_by_reason(problems).splitlines() == [
        "  - 500 times: there is no such file",
        "      t.csv, line 2: 2.jpg",
        "      t.csv, line 3: 3.jpg",
        "      t.csv, line 4: 4.jpg",
        "      and 497 more",
    ]


def test_reasons_that_differ_in_a_value_are_one_kind_and_examples_keep_theirs():
    problems = [(f"line {n}", f"'{n}' in column 'age' is not a finite number") for n in range(5)]
    lines = list_by_reason(problems).splitlines()
    assert lines[0] == "  - 5 times: … in column 'age' is not a finite number"
    assert lines[1] == "      line 0: '0' in column 'age' is not a finite number"
    assert lines[-1] == "      and 2 more"


def test_few_of_a_reason_keep_a_line_each_and_follow_the_frequent_ones():
    problems = [("a", "empty"), ("b", "listed already in line 2"), *[("c", "a folder")] * 4]
    lines = list_by_reason(problems).splitlines()
    assert lines[0] == "  - 4 times: a folder"
    assert lines[-2:] == ["  - a: empty", "  - b: listed already in line 2"]


def test_more_kinds_than_anyone_reads_are_counted():
    problems = [(f"{word}.jpg", f"is {word}") for word in "abcdefghijklm"]
    assert list_by_reason(problems).endswith("\n  and 3 more, for 3 other reasons")
