"""Positions of charts are those of the values, and ticks are round numbers."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.abstention import trace_risk
from kft.evaluation.calibration import measure_reliability
from kft.report.charts import (
    HEIGHT,
    WIDTH,
    draw_history,
    draw_reliability,
    draw_risk,
    draw_scatter,
)
from kft.report.record import History, Line


def test_a_calibrated_bin_lies_on_the_diagonal():
    chart = draw_reliability(measure_reliability(np.full(40, 0.75), np.arange(40) < 30), "right")
    ((x, y, text),) = chart.series[0].dots
    assert (x / WIDTH, 1 - y / HEIGHT) == (0.75, 0.75)
    assert text == "stated 0.75, came true 0.75 of 40"
    assert [text for _, text in chart.x.ticks] == ["0", "0.25", "0.5", "0.75", "1"]


def test_the_line_of_the_risk_ends_at_all_answers():
    chart = draw_risk(trace_risk(np.array([0.9, 0.8, 0.7, 0.6]), np.arange(4) != 3))
    assert chart.series[0].path.startswith("M75.0 220.0L")
    assert "25.0 % of all answers are wrong, 0.0 % of the surer half" in chart.note


def test_ticks_are_round_numbers_that_hold_the_values():
    line = Line("weight", (17.3, 22.9), (18.1, 23.7))
    chart = draw_scatter(line)
    assert [text for _, text in chart.x.ticks] == ["16", "18", "20", "22", "24"]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y, _ in chart.series[0].dots)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, 1e-9, 1e12])
def test_equal_values_have_a_scale_too(value):
    chart = draw_scatter(Line("x", (value, value), (value, value)))
    assert len({text for _, text in chart.x.ticks}) == len(chart.x.ticks) >= 2


def test_epochs_are_counted_over_all_phases():
    lines = (Line("train", (1.0, 2.0, 3.0), (0.9, 0.5, 0.4)), Line("validation", (2.0,), (0.6,)))
    chart = draw_history(History(lines, (("head", 1.0), ("full", 2.0))))
    assert [series.name for series in chart.series] == ["train", "validation"]
    assert chart.marks == ((0.0, "head"), (WIDTH / 2, "full"))
    assert draw_history(History((Line("train", (1.0,), (0.9,)),), ())) is None


def test_long_lines_keep_their_ends_and_few_points():
    confidence = np.linspace(1, 0, 5000)
    (series,) = draw_risk(trace_risk(confidence, confidence > 0.5)).series
    first, *others, last = series.path.split("L")
    assert first == "M0.1 220.0" and last.startswith("300.0 ")
    assert len(others) < 600
