"""Display of a run in a notebook: headline, loss curves, and pictures with answer and label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader

from kft.errors import KftError
from kft.figures import format_figure

if TYPE_CHECKING:
    import pyarrow

    from kft.api.run import Run

# Number of pictures; up to half of them have wrong answers.
_NUM_PICTURES = 8
# Size of the drawing in pixels.
_WIDTH, _HEIGHT = 420, 130
_CURVES = {"loss": ("train", "#4a7fb5"), "val_loss": ("validation", "#d98a00")}


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


@dataclass(frozen=True)
class Curve:
    """One curve of the drawing: its name, colour, and points 'x,y x,y …'."""

    name: str
    colour: str
    points: str


@dataclass(frozen=True)
class Drawing:
    """Drawing of losses by epoch, over all phases with epochs.

    Attributes:
        curves: Curves of train and validation.
        top: Highest loss.
        bottom: Lowest loss.
        phases: Name and start of each phase, in pixels.
        width: Width in pixels.
        height: Height in pixels.
    """

    curves: tuple[Curve, ...]
    top: str
    bottom: str
    phases: tuple[tuple[str, float], ...]
    width: int = _WIDTH
    height: int = _HEIGHT


def render_run(run: Run) -> str:
    """Render self-contained HTML, with every name escaped."""
    environment = Environment(loader=PackageLoader("kft", "api"), autoescape=True)
    status = run._directory.read_status()
    return environment.get_template("run.html.jinja").render(
        run=run,
        state=run.state,
        reason=status.get("reason"),
        headline=status.get("holdout"),
        drawing=draw_losses(run.history),
        pictures=list(_choose_pictures(run)) if run.state == "finished" else [],
    )


def draw_losses(history: pyarrow.Table) -> Drawing | None:
    """Draw the losses of a run's history; None with fewer than two epochs."""
    columns = {name: history[name].to_pylist() for name in _CURVES if name in history.column_names}
    values = [value for column in columns.values() for value in column if value is not None]
    if len(history) < 2 or not values:
        return None
    low, high = min(values), max(values)

    def place(index: int, value: float) -> str:
        height = (high - value) / ((high - low) or 1.0)
        return f"{_x(index, len(history)):.1f},{height * _HEIGHT:.1f}"

    phases = history["phase"].to_pylist()
    return Drawing(
        tuple(
            Curve(
                *_CURVES[name],
                " ".join(place(i, value) for i, value in enumerate(column) if value is not None),
            )
            for name, column in columns.items()
        ),
        format_figure(high),
        format_figure(low),
        tuple(
            (phase, _x(i, len(phases)))
            for i, phase in enumerate(phases)
            if i == 0 or phases[i - 1] != phase
        ),
    )


def _x(index: int, count: int) -> float:
    return index * _WIDTH / (count - 1)


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
