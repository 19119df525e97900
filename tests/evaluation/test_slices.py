"""Slices that are worse beyond chance are found, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.slices import Column, find_slices, read_slices, write_slices


def test_the_slice_with_a_fault_is_found():
    random = np.random.default_rng(0)
    speaker = np.repeat(["ann", "bob", "cleo", "dan"], 100)
    is_right = random.random(400) < np.where(speaker == "cleo", 0.6, 0.95)
    worst, *others = find_slices(
        {"speaker": Column(speaker), "side": Column(random.random(400))}, is_right
    )
    assert (worst.column, worst.value, worst.is_worse) == ("speaker", "cleo", True)
    assert worst.score == is_right[200:300].mean()
    assert worst.examples == 100
    assert not any(each.is_worse for each in others)
    assert sum(each.column == "side" for each in (worst, *others)) == 4


def test_of_many_slices_without_a_fault_hardly_any_is_called_worse():
    called = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        columns = {f"column {i}": Column(random.integers(0, 4, 200).astype(str)) for i in range(10)}
        found = find_slices(columns, random.random(200) < 0.8)
        called += any(each.is_worse for each in found)
    assert called <= 4


def test_losses_are_scores_too():
    random = np.random.default_rng(0)
    dark = np.arange(200) < 50
    scores = -random.gamma(2, 1 + 2 * dark)
    worst = find_slices({"dark": Column(dark)}, scores)[0]
    assert (worst.value, worst.is_worse) == ("True", True)
    assert worst.low < worst.score < worst.high


def test_ranges_of_numbers_hold_each_known_example_once():
    values = np.array([*np.linspace(0, 1, 80), *[np.nan] * 20])
    found = find_slices({"brightness": Column(values)}, np.ones(100, bool))
    assert [each.examples for each in found] == [20] * 4


def test_numbers_on_a_scale_are_named_by_their_texts():
    sizes = np.repeat([10.0, 20.0, 30.0], 20)
    texts = [f"{size:g} px" for size in sizes]
    found = find_slices({"size": Column(np.log(sizes), texts)}, np.arange(60) % 2 == 0)
    assert {each.value for each in found} == {"10 px", "20 px to 30 px"}


def test_slices_of_errors_are_written_with_the_largest_error_first(tmp_path):
    dark = np.arange(200) < 50
    errors = np.random.default_rng(0).gamma(2, 1 + 2 * dark)
    write_slices(tmp_path, {"dark": Column(dark)}, errors, is_share=False)
    worst, best = read_slices(tmp_path)
    assert (worst.value, worst.is_worse, best.is_worse) == ("True", True, False)
    assert worst.low < worst.score == errors[:50].mean() < worst.high
    assert read_slices(tmp_path / "none") == []


@pytest.mark.parametrize(
    "values",
    [
        [f"file {i}" for i in range(100)],
        ["rare"] * 9 + ["common"] * 91,
        ["all"] * 100,
        np.full(100, np.nan),
    ],
    ids=["identifiers", "rare", "constant", "unknown"],
)
def test_columns_that_say_nothing_have_no_slices(values):
    found = find_slices({"column": Column(values)}, np.arange(100) % 2 == 0)
    assert {each.value for each in found} <= {"common"}
