"""Output of `kft explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kft.cli.records import print_records
from kft.cli.tables import make_console, show_pairs, show_remark, show_table
from kft.figures import format_figure

if TYPE_CHECKING:
    from kft.cli.records import Form
    from kft.run_operations.explain import Explained


def show_explained(explained: Explained, form: Form) -> None:
    """Print one record per answer and method, and where the overlays are."""
    records = list(_list_records(explained))
    if form != "text":
        print_records(records, form)
        return
    console = make_console()
    headings = ("file", "answer", "value>", "method", "depends on", "learned", "deletion>")
    show_table(
        console,
        headings,
        (
            (
                record["file"],
                record["answer"],
                format_figure(record["value"]),
                record["method"],
                record["place"],
                {True: "yes", False: "NO", None: "?"}[record["depends_on_weights"]],
                _write_areas(record),
            )
            for record in records
        ),
    )
    show_remark(
        console,
        "learned: whether the explanation changes when the weights are shuffled. deletion: area "
        "under the score while important parts are hidden first, and in random order; smaller is "
        "better.",
    )
    show_pairs(console, [("Overlays", str(explained.folder))])


def _list_records(explained: Explained) -> Iterator[dict[str, Any]]:
    for each in explained.explanations:
        for attribution in each.attributions:
            curve = attribution.deletion
            yield {
                "file": each.file,
                "answer": each.answer,
                "value": each.value,
                "method": attribution.method,
                "place": attribution.place,
                "similarity_to_random_weights": attribution.similarity,
                "depends_on_weights": attribution.depends_on_weights,
                "deletion_area": curve and curve.area,
                "random_deletion_area": curve and curve.random_area,
            }


def _write_areas(record: dict[str, Any]) -> str:
    if record["deletion_area"] is None:
        return "no effect"
    return f"{record['deletion_area']:.2f} ({record['random_deletion_area']:.2f})"
