"""A run as a notebook shows it: headline, curves, and some pictures with answer and truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader

from kft.config import Pipeline
from kft.errors import KftError
from kft.figures import format_figure

if TYPE_CHECKING:
    import pyarrow

    from kft.api.run import Run

# Pictures that are shown; up to half of them are ones that the model got wrong.
_NUM_PICTURES = 8
# Of the drawing, in pixels.
_WIDTH, _HEIGHT = 420, 130
_CURVES = {"loss": ("train", "#4a7fb5"), "val_loss": ("validation", "#d98a00")}


@dataclass(frozen=True)
class Shown:
    """One picture with what the model answers and what is true.

    Attributes:
        source: As a data URI; None where it cannot be read.
        file: Its name.
        answer: Of the model.
        truth: As labelled.
    """

    source: str | None
    file: str
    answer: str
    truth: str


@dataclass(frozen=True)
class Curve:
    """A line of the drawing: its name, colour, and points 'x,y x,y …'."""

    name: str
    colour: str
    points: str


@dataclass(frozen=True)
class Drawing:
    """Losses by epoch, over all phases that have epochs.

    Attributes:
        curves: Of train and validation.
        top: Greatest loss.
        bottom: Least loss.
        phases: Name of each phase and where it begins, in pixels.
        width: In pixels.
        height: In pixels.
    """

    curves: tuple[Curve, ...]
    top: str
    bottom: str
    phases: tuple[tuple[str, float], ...]
    width: int = _WIDTH
    height: int = _HEIGHT


def render_run(run: Run) -> str:
    """HTML that needs no other file; every name in it is escaped."""
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
    """The losses of a run's history; None where there are fewer than two epochs."""
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
    """Some of the examples that were judged: wrong answers first, as far as there are any."""
    from kft.modalities import choose_modality
    from kft.provenance import load_run_pipeline

    try:
        table = run.predictions
        pipeline = load_run_pipeline(run._directory)
    except KftError:
        # A run that judged nothing, or whose files are damaged, is shown without pictures.
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
        path = _find_file(pipeline, row["file"])
        source = None if path is None else modality.preview(str(path), settings)
        yield Shown(source, row["file"], _join(row, "predicted"), _join(row, "true"))


def _spread(rows: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Up to `count` of the rows, evenly over them."""
    num_shown = min(count, len(rows))
    return [rows[i * len(rows) // num_shown] for i in range(num_shown)]


def _join(row: dict[str, Any], kind: str) -> str:
    """The class; or the first numbers or labels, by name."""
    if kind in row:
        return str(row[kind])
    values = {name.removeprefix(f"{kind} "): v for name, v in row.items() if name.startswith(kind)}
    told = [f"{name} {format_figure(value)}" for name, value in list(values.items())[:3]]
    return ", ".join(told)


def _find_file(pipeline: Pipeline, name: str) -> Path | None:
    """Where an example lies: below the data folder, or beside the table; None if nowhere."""
    root = Path(pipeline.data.path or ".").expanduser()
    roots = (root, root.parent / (pipeline.data.table.folder or ""))
    return next((root / name for root in roots if (root / name).is_file()), None)
