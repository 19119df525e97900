"""Results of `kft demo` on a terminal."""

from __future__ import annotations

from kft.cli.tables import make_console, show_pairs, show_table
from kft.demos import Demo
from kft.display import format_seconds


def show_demo(demo: Demo) -> None:
    """Print the accuracies side by side, and the export's answers."""
    console, demonstration = make_console(), demo.demonstration
    rows = []
    for title, finished in demo.runs:
        assert finished.evaluation is not None
        figures = finished.evaluation.figures
        low, high = figures["accuracy_95_percent_interval"]
        rows.append((title, f"{figures['accuracy']:.3f}", f"{low:.3f} to {high:.3f}"))
    console.print()
    show_table(console, (demonstration.heading, "holdout accuracy>", "95 % interval>"), rows)
    console.print(
        f"{demonstration.conditions} Answers of the export about {demonstration.questions}, in a "
        "process without kft:\n",
        soft_wrap=True,
    )
    show_pairs(console, list(demo.served))
    console.print("\nResults\n")
    finished = demo.runs[0][1]
    assert finished.export is not None
    show_pairs(
        console,
        [("Run", str(finished.run.path)), ("Export", str(finished.export.path))],
    )
    console.print(
        f"\nThe demo took {format_seconds(demo.seconds)}. To train on your own "
        f"{demonstration.own}: {demonstration.example}",
        soft_wrap=True,
    )
