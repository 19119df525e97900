"""Output of `kft evaluate --robustness` and `--changes`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from kft.cli.records import print_csv, print_document
from kft.cli.tables import make_console, show_paragraph, show_table
from kft.figures import format_figure, format_share

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.evaluation.changes import Changes
    from kft.evaluation.robustness import Robustness


def show_robustness(robustness: Robustness, form: Form) -> None:
    """Print the figure for each corruption and strength, with intervals."""
    if form == "json":
        print_document(asdict(robustness))
        return
    if form == "csv":
        print_csv(asdict(score) for score in robustness.scores)
        return
    write = format_share if robustness.is_share else format_figure
    show_table(
        make_console(),
        ("corruption", "strength>", "", f"{robustness.figure}>", "95 % interval"),
        (
            (
                score.corruption or "none",
                str(score.strength),
                score.description,
                write(score.value),
                " to ".join(map(write, score.interval or ())),
            )
            for score in robustness.scores
        ),
    )


def show_changes(changes: Changes, form: Form) -> None:
    """Print how far each block moved, and what was forgotten."""
    if form == "json":
        print_document(asdict(changes))
        return
    if form == "csv":
        print_csv(asdict(block) for block in changes.blocks)
        return
    console = make_console()
    show_table(
        console,
        ("block", "parameters>", "moved by>", "CKA before and after>"),
        (
            (
                each.block,
                f"{each.parameters:,}",
                f"{each.relative_change:.2%}",
                "?" if each.alignment is None else format_share(each.alignment),
            )
            for each in changes.blocks
        ),
    )
    if changes.forgetting is not None:
        show_paragraph(console, changes.forgetting.verdict)
