"""Runs are compared example by example, and what differs is named."""

import numpy as np
import pytest
from click.testing import CliRunner
from made_answers import draw_classes, draw_labels, draw_numbers

from kft.cli.main import main
from kft.comparison import compare_runs, render_comparison
from kft.comparison.significance import adjust, mcnemar, signed_ranks
from kft.errors import RunError


@pytest.fixture(scope="module")
def runs(make_run):
    """A run, one that answers nearly as well, and one that answers at random."""
    names, targets, outputs = draw_classes()
    drawn = np.random.default_rng(1)
    nearly = outputs.copy()
    nearly[:2] = np.roll(outputs[:2], 1, axis=1)
    wrong = drawn.permutation(outputs)
    return [make_run("class", (names, targets, each)) for each in (outputs, nearly, wrong)]


def test_a_run_is_told_from_a_worse_one_and_not_from_one_that_is_nearly_equal(runs):
    comparison = compare_runs(runs)
    nearly, wrong = comparison.differences
    assert nearly.figure == wrong.figure == "accuracy"
    assert nearly.verdict == "cannot be told from the first"
    assert wrong.verdict == "worse than the first" and wrong.difference.high < 0
    assert "all" in comparison.note


def test_the_page_shows_figures_differences_and_curves(runs):
    page = render_comparison(compare_runs(runs)).decode()
    for text in ("worse than the first", "Loss by epoch", "data.path", "<svg"):
        assert text in page
    assert "://" not in page


@pytest.mark.parametrize(
    ("word", "answers"), [("labels", draw_labels()), ("number", draw_numbers())]
)
def test_labels_and_numbers_are_compared_by_their_losses(make_run, word, answers):
    names, targets, outputs = answers
    worse = outputs[::-1].copy()
    runs = [make_run(word, (names, targets, each)) for each in (outputs, worse)]
    (difference,) = compare_runs(runs).differences
    assert difference.verdict == "worse than the first"
    assert difference.examples == len(targets)


def test_runs_of_different_tasks_or_classes_are_refused(runs, make_run):
    with pytest.raises(RunError, match=r"answers 'labels', but .* answers 'class'"):
        compare_runs([runs[0], make_run("labels", draw_labels())])
    names, targets, outputs = draw_classes()
    others = make_run("class", (tuple(f"other {name}" for name in names), targets, outputs))
    with pytest.raises(RunError, match="know different classes: "):
        compare_runs([runs[0], others])
    with pytest.raises(RunError, match="given twice"):
        compare_runs([runs[0], runs[0]])
    with pytest.raises(RunError, match="at least two"):
        compare_runs(runs[:1])


def test_the_command_prints_a_table_and_writes_a_page(runs, tmp_path):
    page = tmp_path / "comparison.html"
    result = CliRunner().invoke(main, ["compare", *map(str, runs), "--output", str(page)])
    assert result.exit_code == 0, result.output
    assert "cannot be told from the first" in result.stdout and "data.path" in result.stdout
    assert page.read_text().startswith("<!doctype html>")
    as_json = CliRunner().invoke(main, ["compare", *map(str, runs), "--json"])
    assert '"verdict": "worse than the first"' in as_json.stdout


def test_tests_of_significance_equal_those_of_the_books():
    before, after = np.zeros(20, bool), np.zeros(20, bool)
    after[:5] = True
    assert mcnemar(before, after) == pytest.approx(2 * 0.5**5)
    assert mcnemar(before, before) == 1.0
    assert signed_ranks(np.zeros(5)) == 1.0
    assert signed_ranks(np.arange(1.0, 7.0)) == pytest.approx(2 * 0.5**6)
    assert adjust([0.5, 0.9]) == [1.0, 1.0]
