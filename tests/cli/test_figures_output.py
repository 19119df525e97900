"""The output of `kft evaluate` is readable with any number of classes and any units."""

from __future__ import annotations

import numpy as np

from kft.cli.output import MOST_SHOWN, NUM_WORST, show_figures
from kft.tasks import find_task


def test_the_worst_of_many_classes_are_shown_with_the_place_of_the_others(capsys):
    count = 1500
    targets = np.arange(count)
    outputs = np.eye(count, dtype=np.float32)
    # The last thirty classes are all predicted as the class before them.
    outputs[-30:] = outputs[-31:-1].copy()
    names = [f"sku_{index:05d}" for index in range(count)]
    figures = find_task("class").figures.compute(targets, outputs, names, targets)
    show_figures(figures, title="holdout")
    captured = capsys.readouterr()
    printed = captured.out
    assert len(printed.splitlines()) < NUM_WORST + 10
    assert printed.count("sku_") == NUM_WORST
    assert all(f"sku_{index:05d}\t0.000" in printed for index in range(1470, 1470 + NUM_WORST))
    # In a pipe, standard output has only records.
    assert f"the {NUM_WORST} worst by F1 of 1,500 classes" in captured.err
    assert "--json" in captured.err


def test_a_few_classes_are_all_shown(capsys):
    names = [f"class {index}" for index in range(MOST_SHOWN)]
    targets = np.arange(MOST_SHOWN)
    figures = find_task("class").figures.compute(targets, np.eye(MOST_SHOWN), names, targets)
    show_figures(figures, title="holdout")
    printed = capsys.readouterr().out
    assert all(f"{name}\t" in printed for name in names)
    assert "worst" not in printed


def test_errors_in_the_smallest_and_largest_units_keep_their_digits(capsys):
    targets = np.random.default_rng(0).normal(size=(30, 2)) * [1e-6, 1e10]
    figures = find_task("number").figures.compute(targets, targets * 1.01, ("mol", "cost"), targets)
    show_figures(figures, title="holdout")
    printed = capsys.readouterr().out
    assert "0.000" not in printed
    mol = next(line for line in printed.splitlines() if line.strip().startswith("mol"))
    assert f"{figures['numbers']['mol']['mean_absolute_error']:.3e}" in mol


def test_a_name_that_would_move_the_cursor_is_printed_as_text(capsys):
    targets = np.array([0, 1])
    figures = find_task("class").figures.compute(targets, np.eye(2), ("a\x1b[2J", "b\nc"), targets)
    show_figures(figures, title="holdout")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
