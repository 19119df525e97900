"""The ladder of a run, on standard output."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from kft.cli.tables import make_console, show_table


def show_ladder(folder: Path, console: Console | None = None) -> None:
    """Print the ladder of an evaluation, from the simplest baseline to the model, if it has one.

    Args:
        folder: Folder of the evaluation.
        console: Console to print to; by default standard output.
    """
    from kft.display import format_seconds
    from kft.evaluation.ladder import read_ladder
    from kft.figures import format_figure

    rungs, _ = read_ladder(folder)
    if len(rungs) < 2:
        return
    rows = (
        (
            rung.name,
            format_figure(rung.value),
            " to ".join(map(format_figure, rung.interval or ())),
            "" if rung.seconds is None else format_seconds(rung.seconds),
            "" if rung.size is None else f"{rung.size / 1e6:,.1f} MB",
            "" if rung.difference is None else str(rung.difference),
        )
        for rung in rungs
    )
    headings = (folder.name, "figure>", "95 % interval>", "time>", "size>", "model is better by>")
    console = console or make_console()
    console.print()
    show_table(console, headings, rows)
