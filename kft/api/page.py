"""Display of a run in a notebook: headline, loss curves, and pictures with answer and label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader

from kft.errors import KftError
from kft.figures import format_figure

if TYPE_CHECKING:
    from kft.api.run import Run

# Number of pictures; up to half of them have wrong answers.
_NUM_PICTURES = 8
# Colours of the curves, legible on light and dark notebooks.
_COLOURS = ("#4a7fb5", "#d98a00")


@dataclass(frozen=True)
class Shown:
    """One picture with the model's answer and the label.

    Attributes:
        source: The picture as a data URI; None if it cannot be read.
        file: Name of the file.
        answer: Answer of the model.
        truth: Label of the picture.
    """

    source: str | None
    file: str
    answer: str
    truth: str


def render_run(run: Run) -> str:
    """Render self-contained HTML, with every name escaped."""
    from kft.report.charts import draw_history
    from kft.report.run_reading import read_history

    environment = Environment(loader=PackageLoader("kft", "api"), autoescape=True)
    history = read_history(run._directory)
    status = run._directory.read_status()
    return environment.get_template("run.html.jinja").render(
        run=run,
        state=run.state,
        reason=status.get("reason"),
        headline=status.get("holdout"),
        chart=history and draw_history(history),
        colours=_COLOURS,
        pictures=list(_choose_pictures(run)) if run.state == "finished" else [],
    )


def _choose_pictures(run: Run) -> Iterator[Shown]:
    """Choose some of the judged examples, wrong answers first."""
    from kft.modalities import choose_modality
    from kft.provenance import load_run_pipeline
    from kft.report.run_reading import find_file

    try:
        table = run.predictions
        pipeline = load_run_pipeline(run._directory)
    except KftError:
        # A run without an evaluation, or with damaged files, is shown without pictures.
        return
    if "true" in table.column_names:
        table = table.select(["file", "true", "predicted"])
    rows: list[dict[str, Any]] = table.to_pylist()
    wrong = [row for row in rows if row.get("true") != row.get("predicted")]
    right = [row for row in rows if row.get("true") == row.get("predicted")]
    chosen = _spread(wrong, _NUM_PICTURES // 2)
    chosen += _spread(right, _NUM_PICTURES - len(chosen))
    modality = choose_modality(pipeline.data)
    settings = modality.settings_of(pipeline.data)
    for row in chosen:
        path = find_file(pipeline, row["file"])
        source = None if path is None else modality.preview(str(path), settings)
        yield Shown(source, row["file"], _join(row, "predicted"), _join(row, "true"))


def _spread(rows: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Choose up to `count` rows, evenly spread."""
    num_shown = min(count, len(rows))
    return [rows[i * len(rows) // num_shown] for i in range(num_shown)]


def _join(row: dict[str, Any], kind: str) -> str:
    """Format the class, or the first three numbers or labels by name."""
    if kind in row:
        return str(row[kind])
    values = {name.removeprefix(f"{kind} "): v for name, v in row.items() if name.startswith(kind)}
    return ", ".join(f"{name} {format_figure(v)}" for name, v in list(values.items())[:3])
