"""The ladder is printed from the simplest baseline to the model."""

from __future__ import annotations

from kft.cli.ladder_output import show_ladder
from kft.evaluation.ladder import Rung, write_ladder
from kft.statistics import Difference


def test_each_rung_has_its_figure_cost_and_distance(tmp_path, capsys):
    rungs = [
        Rung("majority", 0.5, (0.4, 0.6), 0.0, 8, Difference(0.3, 0.1, 0.5)),
        Rung("this model (the probe)", 0.8, (0.7, 0.9), 12.0, 1_700_000),
    ]
    write_ladder(tmp_path / "holdout", rungs)
    show_ladder(tmp_path / "holdout")
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].split("\t")[:2] == ["holdout", "figure, 95 % interval"]
    assert "+0.300 [+0.100, +0.500]" in lines[1]
    assert lines[2].split("\t")[:2] == ["this model (the probe)", "0.8 [0.7, 0.9]"]
    assert lines[2].endswith("12 s")


def test_an_evaluation_without_a_ladder_prints_nothing(tmp_path, capsys):
    show_ladder(tmp_path)
    write_ladder(tmp_path, [Rung("this model (trained)", 0.8)])
    show_ladder(tmp_path)
    assert capsys.readouterr().out == ""
