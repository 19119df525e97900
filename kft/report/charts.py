"""Geometry of charts: values to positions in an SVG drawing, with readable ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kft.evaluation.abstention import RiskCurve
from kft.evaluation.calibration import Reliability
from kft.evaluation.ladder import LearningPoint
from kft.evaluation.learning_curve import LEAST_POINTS, extrapolate, fit_learning_curve
from kft.figures import format_figure
from kft.report.record import History, Line

# Size of the drawing area in pixels; a phone is 360 wide.
WIDTH, HEIGHT = 300, 220
_NUM_TICKS = 4
# Points of a line that can be told apart at this width.
_MAX_POINTS = 600
# Lines of one chart that can be told apart.
_MOST_LINES = 8


@dataclass(frozen=True)
class Axis:
    """An axis: its title, and ticks as (position in pixels, text)."""

    title: str
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Series:
    """One series of a chart.

    Attributes:
        name: Name for the legend; empty for none.
        path: Path of a line, or empty.
        dots: Centres of dots, with a text each.
        whiskers: Vertical bars: x, and both ends.
    """

    name: str
    path: str = ""
    dots: tuple[tuple[float, float, str], ...] = ()
    whiskers: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Chart:
    """A chart ready to be drawn.

    Attributes:
        title: Title above the chart.
        summary: What it shows, for those who cannot see it.
        x: Horizontal axis.
        y: Vertical axis.
        series: Series, first to last.
        guide: Path of a dashed line, such as a diagonal.
        marks: Vertical dashed lines: x, and a text.
        note: Sentence below the chart.
    """

    title: str
    summary: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    guide: str = ""
    marks: tuple[tuple[float, str], ...] = ()
    note: str = ""
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class _Scale:
    """Linear map from values to pixels, between round numbers."""

    low: float
    high: float
    length: int
    is_vertical: bool = False

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.length * (1 - share if self.is_vertical else share), 1)

    def make_axis(self, title: str) -> Axis:
        ticks = _find_ticks(self.low, self.high)
        return Axis(title, tuple((self.place(tick), f"{tick:.6g}") for tick in ticks))


def draw_reliability(reliability: Reliability, noun: str) -> Chart:
    """Draw stated probabilities against the share that came true.

    Args:
        reliability: The table.
        noun: What came true, such as 'answers right'.
    """
    x, y = _Scale(0, 1, WIDTH), _Scale(0, 1, HEIGHT, is_vertical=True)
    rows = list(
        zip(
            reliability.stated.tolist(),
            reliability.observed.tolist(),
            reliability.intervals.tolist(),
            reliability.examples.tolist(),
            strict=True,
        )
    )
    dots = tuple(
        (x.place(stated), y.place(seen), f"stated {stated:.2f}, came true {seen:.2f} of {count:,}")
        for stated, seen, _, count in rows
    )
    whiskers = tuple(
        (x.place(stated), y.place(low), y.place(high)) for stated, _, (low, high), _ in rows
    )
    verdict = "more than chance explains" if reliability.is_off else "no more than chance explains"
    return Chart(
        "Do stated probabilities come true?",
        f"Reliability diagram: expected calibration error {reliability.error:.3f}, {verdict}.",
        x.make_axis("stated probability"),
        y.make_axis(noun),
        (Series("", dots=dots, whiskers=whiskers),),
        guide=f"M0 {HEIGHT}L{WIDTH} 0",
        note=f"Expected calibration error {reliability.error:.3f}, {verdict} "
        f"({reliability.error_by_chance:.3f}). Dots on the dashed line are right; below it, the "
        "model is too sure of itself.",
    )


def draw_risk(curve: RiskCurve) -> Chart:
    """Draw the error among the surest answers by the share that is answered."""
    top = max(float(curve.risk.max()), 0.01)
    x, y = _Scale(0, 1, WIDTH), _make_scale((0, top), HEIGHT, is_vertical=True)
    line = Line("", tuple(curve.coverage.tolist()), tuple(curve.risk.tolist()))
    full = float(curve.risk[-1])
    half = float(np.interp(0.5, curve.coverage, curve.risk))
    return Chart(
        "What if unsure answers are left out?",
        f"Error by coverage: {full:.3f} of all answers are wrong, {half:.3f} of the surer half.",
        x.make_axis("share of examples answered, surest first"),
        y.make_axis("share of wrong answers"),
        (Series("", _draw_path(line, x, y)),),
        note=f"{_percent(full)} of all answers are wrong, {_percent(half)} of the surer half.",
    )


def draw_history(history: History) -> Chart | None:
    """Draw losses by epoch; None with fewer than two epochs."""
    if not history.lines or max(len(line.x) for line in history.lines) < 2:
        return None
    values = [value for line in history.lines for value in line.y]
    epochs = [value for line in history.lines for value in line.x]
    x = _Scale(min(epochs), max(epochs), WIDTH)
    y = _make_scale((min(values), max(values)), HEIGHT, is_vertical=True)
    axis = x.make_axis("epoch")
    whole = tuple(tick for tick in axis.ticks if tick[1].isdecimal())
    ends = ", ".join(f"{line.name} {format_figure(line.y[-1])}" for line in history.lines)
    return Chart(
        "Loss by epoch",
        f"Loss by epoch; at the end: {ends}.",
        Axis(axis.title, whole),
        y.make_axis("loss"),
        tuple(Series(line.name, _draw_path(line, x, y)) for line in history.lines),
        marks=tuple((x.place(epoch), name) for name, epoch in history.phases),
    )


def draw_learning(points: Sequence[LearningPoint]) -> Chart | None:
    """Draw errors by number of labels, up to twice the labels; None with too few points.

    Args:
        points: Points of the learning curve.
    """
    if len({point.labels for point in points}) < LEAST_POINTS:
        return None
    points = sorted(points, key=lambda point: point.labels)
    labels = np.array([point.labels for point in points], np.float64)
    errors = np.array([point.error for point in points])
    deviations = np.array([point.deviation for point in points])
    curve = fit_learning_curve(labels, errors, deviations)
    found = extrapolate(labels, errors, deviations, 2 * float(labels[-1]))
    grid = np.linspace(labels[0], found.labels, 60)
    line = Line("", tuple(grid.tolist()), tuple(map(curve.predict, grid.tolist())))
    lows, highs = errors - 1.96 * deviations, errors + 1.96 * deviations
    top = max(float(highs.max()), found.high)
    x, y = _make_scale((0, found.labels), WIDTH), _make_scale((0, top), HEIGHT, is_vertical=True)
    dots = [
        (x.place(point.labels), y.place(point.error), f"{point.labels:,} labels: {point.error:.3f}")
        for point in points
    ]
    whiskers = [
        (x.place(point.labels), y.place(max(low, 0.0)), y.place(high))
        for point, low, high in zip(points, lows.tolist(), highs.tolist(), strict=True)
    ]
    whiskers.append((x.place(found.labels), y.place(max(found.low, 0.0)), y.place(found.high)))
    note = (
        f"With twice the labels, the error would be about {found.error:.3f} "
        f"({max(found.low, 0.0):.3f} to {found.high:.3f}), now {errors[-1]:.3f}."
    )
    return Chart(
        "What would more labels bring?",
        f"Error by number of labels. {note}",
        x.make_axis("labels"),
        y.make_axis("error of the linear probe"),
        (Series("", _draw_path(line, x, y), tuple(dots), tuple(whiskers)),),
        note=note,
    )


def draw_precision(lines: Sequence[Line]) -> Chart:
    """Draw precision by recall of each class."""
    x, y = _Scale(0.0, 1.0, WIDTH), _Scale(0.0, 1.0, HEIGHT, is_vertical=True)
    ends = ", ".join(f"{line.name} {_percent(line.x[-1])}" for line in lines)
    return Chart(
        "Precision by recall",
        f"Precision by recall at an overlap of 0.5; most recall: {ends}.",
        x.make_axis("share of the true boxes that is found"),
        y.make_axis("share of the answers that is right"),
        tuple(Series(line.name, _draw_path(line, x, y)) for line in lines[:_MOST_LINES]),
    )


def draw_scatter(line: Line) -> Chart:
    """Draw answered against true numbers."""
    values = (*line.x, *line.y)
    ends = (min(values), max(values))
    x, y = _make_scale(ends, WIDTH), _make_scale(ends, HEIGHT, is_vertical=True)
    chosen = _choose(len(line.x))
    dots = tuple((x.place(line.x[i]), y.place(line.y[i]), "") for i in chosen)
    return Chart(
        line.name,
        f"Answers against true values of {line.name}.",
        x.make_axis("true"),
        y.make_axis("answered"),
        (Series("", dots=dots),),
        guide=f"M0 {HEIGHT}L{WIDTH} 0",
    )


def _make_scale(ends: tuple[float, float], length: int, *, is_vertical: bool = False) -> _Scale:
    """Make a scale from the round number below the values to the one above."""
    low, high = ends
    if high <= low:
        low, high = low - abs(low) / 2 - 0.5, high + abs(high) / 2 + 0.5
    step = _find_step(low, high)
    return _Scale(
        math.floor(low / step + 1e-9) * step,
        math.ceil(high / step - 1e-9) * step,
        length,
        is_vertical,
    )


def _find_step(low: float, high: float) -> float:
    rough = (high - low) / _NUM_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)


def _find_ticks(low: float, high: float) -> list[float]:
    """Round numbers between both ends."""
    step = _find_step(low, high)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def _draw_path(line: Line, x: _Scale, y: _Scale) -> str:
    points = [f"{x.place(line.x[i])} {y.place(line.y[i])}" for i in _choose(len(line.x))]
    return "M" + "L".join(points)


def _choose(count: int) -> Sequence[int]:
    if count <= _MAX_POINTS:
        return range(count)
    chosen: list[int] = np.linspace(0, count - 1, _MAX_POINTS).astype(int).tolist()
    return chosen


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
