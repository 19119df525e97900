"""The ladder of a run, on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from kft.cli.tables import make_console, show_table

if TYPE_CHECKING:
    from kft.evaluation.ladder import Rung


def show_ladder(folder: Path, console: Console | None = None) -> None:
    """Print the ladder of an evaluation, from the simplest baseline to the model, if it has one.

    Args:
        folder: Folder of the evaluation.
        console: Console to print to; by default standard output.
    """
    from kft.display import format_seconds
    from kft.evaluation.ladder import read_ladder

    rungs, _ = read_ladder(folder)
    if len(rungs) < 2:
        return
    rows = (
        (
            rung.name,
            _describe(rung),
            "" if rung.difference is None else str(rung.difference),
            "" if rung.seconds is None else format_seconds(rung.seconds),
        )
        for rung in rungs
    )
    headings = (folder.name, "figure, 95 % interval>", "model is better by>", "time>")
    console = console or make_console()
    console.print()
    show_table(console, headings, rows)


def _describe(rung: Rung) -> str:
    """Format a figure with its interval in three digits, which fit beside the other columns."""
    ends = "" if rung.interval is None else " [{:.3g}, {:.3g}]".format(*rung.interval)
    return f"{rung.value:.3g}{ends}"
