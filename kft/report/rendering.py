"""A report as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kft import pages
from kft.display import format_seconds
from kft.evaluation.ladder import Rung
from kft.evaluation.robustness import CorruptedScore
from kft.figures import format_figure, format_share
from kft.report import charts
from kft.report.record import ConfusionTable, Report, Score


def render_report(report: Report) -> bytes:
    """Render a report as UTF-8 text of a page that needs no other file.

    Args:
        report: What to show.
    """
    failures = report.failures
    drawn = []
    if report.reliability is not None:
        noun = "share of right answers" if failures.confusion else "share that came true"
        drawn.append(charts.draw_reliability(report.reliability, noun))
    if report.risk is not None:
        drawn.append(charts.draw_risk(report.risk))
    return pages.render_page(
        "report",
        "report.html.jinja",
        report=report,
        sure=drawn,
        scatter=[
            *(charts.draw_scatter(line) for line in failures.scatter),
            *([charts.draw_precision(failures.curves)] if failures.curves else []),
        ],
        history=report.history and charts.draw_history(report.history),
        ladder=_draw_ladder(report),
        learning=charts.draw_learning(report.learning),
        cells=failures.confusion and _shade(failures.confusion),
        write=write_score,
        write_interval=write_interval,
        seconds=format_seconds,
        write_value=format_share if report.lead.is_share else format_figure,
        is_much_worse=lambda score: _is_beyond(report, score),
    )


def _is_beyond(report: Report, score: CorruptedScore) -> bool:
    """Tell whether a figure on corrupted examples is worse beyond both intervals."""
    assert report.robustness is not None
    clean = report.robustness.clean
    if score.interval is None or clean.interval is None:
        return False
    if report.robustness.is_share:
        return score.interval[1] < clean.interval[0]
    return score.interval[0] > clean.interval[1]


@dataclass(frozen=True)
class _Step:
    """A rung as it is drawn, with positions in percent of the width."""

    score: Score
    cost: str
    gain: str
    dot: float
    span: tuple[float, float] | None
    is_model: bool


def _draw_ladder(report: Report) -> list[_Step]:
    ends = [end for rung in report.rungs for end in (rung.value, *(rung.interval or ()))]
    # Shares are shown from 0 to 1, so that the eye does not take a small gain for a large one.
    top = 1.0 if report.lead.is_share else max(*ends, 1e-300)

    def place(value: float) -> float:
        return round(100 * min(max(value, 0.0) / top, 1.0), 2)

    return [
        _Step(
            Score(rung.name, rung.value, rung.interval, report.lead.is_share),
            _write_cost(rung),
            _write_gain(rung, is_share=report.lead.is_share),
            place(rung.value),
            rung.interval and (place(rung.interval[0]), round(100 - place(rung.interval[1]), 2)),
            is_model=rung is report.rungs[-1],
        )
        for rung in report.rungs
    ]


def _write_cost(rung: Rung) -> str:
    """Write time and size of a rung, as far as they are known."""
    parts = [format_seconds(rung.seconds)] if rung.seconds else []
    # A few numbers are no size worth a word.
    if rung.size is not None and rung.size >= 50_000:
        parts.append(f"{rung.size / 1e6:,.1f} MB")
    return ", ".join(parts)


def _write_gain(rung: Rung, *, is_share: bool) -> str:
    """Write what the model gains over a rung, with its interval."""
    if rung.difference is None:
        return ""
    form = format_share if is_share else format_figure
    gain, low, high = (
        ("+" if value > 0 else "") + form(value)
        for value in (rung.difference.gain, rung.difference.low, rung.difference.high)
    )
    return f"model {gain} ({low} to {high})"


def _shade(table: ConfusionTable) -> np.ndarray:
    """Share of each cell in its row, in percent (classes, classes)."""
    totals = np.maximum(table.counts.sum(axis=1, keepdims=True), 1)
    shares: np.ndarray = np.round(100 * table.counts / totals)
    return shares.astype(int)


def write_score(score: Score) -> str:
    """Write a figure, with three decimals for a share."""
    return format_share(score.value) if score.is_share else format_figure(score.value)


def write_interval(score: Score) -> str:
    """Write the interval of a figure; empty if it is unknown."""
    form = format_share if score.is_share else format_figure
    return " to ".join(map(form, score.interval or ()))
