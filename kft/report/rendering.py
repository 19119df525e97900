"""A report as one HTML file."""

from __future__ import annotations

import numpy as np

from kft import pages
from kft.display import format_seconds
from kft.figures import format_figure, format_share
from kft.report import charts
from kft.report.record import ConfusionTable, Report, Rung, Score


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
        scatter=[charts.draw_scatter(line) for line in failures.scatter],
        history=report.history and charts.draw_history(report.history),
        ladder=_Ladder(report.rungs),
        cells=failures.confusion and _shade(failures.confusion),
        write=_write,
        write_interval=_write_interval,
        seconds=format_seconds,
    )


class _Ladder:
    """Positions of the rungs on a common scale, in percent.

    Args:
        rungs: The rungs.
    """

    def __init__(self, rungs: tuple[Rung, ...]) -> None:
        scores = [rung.score for rung in rungs]
        ends = [end for each in scores for end in (each.value or 0.0, *(each.interval or ()))]
        # Shares are shown from 0 to 1, so that the eye does not take a small gain for a large one.
        self.top = 1.0 if max(ends) <= 1.0 else max(ends)
        self.rungs = rungs

    def place(self, value: float) -> float:
        """Position of a value."""
        return round(100 * max(value, 0.0) / self.top, 2)


def _shade(table: ConfusionTable) -> np.ndarray:
    """Share of each cell in its row, in percent (classes, classes)."""
    totals = np.maximum(table.counts.sum(axis=1, keepdims=True), 1)
    shares: np.ndarray = np.round(100 * table.counts / totals)
    return shares.astype(int)


def _write(score: Score) -> str:
    return format_share(score.value) if score.is_share else format_figure(score.value)


def _write_interval(score: Score) -> str:
    form = format_share if score.is_share else format_figure
    return " to ".join(map(form, score.interval or ()))
