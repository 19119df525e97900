"""Reading of finished runs into a comparison; nothing is computed again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kft.comparison.record import ComparedRun, Comparison, PairedDifference, Setting
from kft.comparison.significance import adjust, mcnemar, signed_ranks
from kft.errors import RunError
from kft.evaluation.mistakes import compute_losses
from kft.evaluation.prediction_reading import Predictions, read_predictions
from kft.printing import listed
from kft.provenance import flatten, load_run_pipeline
from kft.report.charts import Chart, draw_history
from kft.report.record import History, Line, Score
from kft.report.run_reading import list_scores, read_history
from kft.runs import RunDirectory, open_run
from kft.runs.layout import read_json
from kft.statistics import paired_mean, paired_proportions
from kft.tasks import Task, task_of_figures

# Settings that say where a run is, not how it was made.
_PLACES = ("runs_directory", "export.directory")


def compare_runs(paths: Sequence[Path], *, split: str | None = None) -> Comparison:
    """Compare finished runs of one task; the first is the one that the others are compared with.

    Args:
        paths: Paths of at least two runs.
        split: Split or other data that was judged, as in `read_report`; by default the holdout,
            or validation without one.

    Raises:
        RunError: A run is not finished or did not judge the split, or the runs have different
            tasks, classes or labels.
    """
    if len(paths) < 2:
        raise RunError("a comparison needs at least two runs. `kft runs` lists them.")
    names = _name_runs(paths)
    runs = [open_run(path) for path in paths]
    read = [_Judged(run, split or run.find_judged()) for run in runs]
    _refuse_others(names, read)
    compared = tuple(
        _describe_run(name, run, each) for name, run, each in zip(names, runs, read, strict=True)
    )
    common = set.intersection(*({score.name for score in each.scores} for each in compared))
    compared = tuple(
        replace(each, scores=tuple(score for score in each.scores if score.name in common))
        for each in compared
    )
    differences, note = _pair(names, read)
    return Comparison(
        compared, differences, note, tuple(_find_settings(runs)), _draw_curves(names, runs)
    )


class _Judged:
    """A run's judgement on a split.

    Args:
        run: The run.
        split: Name of the split.
    """

    def __init__(self, run: RunDirectory, split: str) -> None:
        folder = run.evaluation(split)
        if not (folder / "metrics.json").is_file():
            judged = ", ".join(run.list_judged()) or "nothing"
            raise RunError(f"{run.path}: the run did not judge {split!r}. It judged: {judged}.")
        self.split = split
        self.figures = read_json(folder / "metrics.json")
        self.task: Task = task_of_figures(self.figures)
        self.names = tuple(self.figures[self.task.figures.names_key])
        self.predictions: Predictions = read_predictions(folder, self.task, self.names)


def _name_runs(paths: Sequence[Path]) -> list[str]:
    """Name runs by the end of their paths, as much of it as tells them apart.

    Raises:
        RunError: Two paths are one.
    """
    parts = [path.absolute().parts for path in paths]
    if len(set(parts)) < len(parts):
        raise RunError("a run is given twice. Give different runs.")
    depth = 1
    while len({each[-depth:] for each in parts}) < len(parts):
        depth += 1
    return ["/".join(each[-depth:]) for each in parts]


def _refuse_others(names: Sequence[str], read: Sequence[_Judged]) -> None:
    first = read[0]
    for name, each in zip(names[1:], read[1:], strict=True):
        if each.task != first.task:
            raise RunError(
                f"{name} answers {each.task.word!r}, but {names[0]} answers {first.task.word!r}: "
                "they cannot be compared."
            )
        others = sorted(set(each.names) ^ set(first.names))
        if others:
            raise RunError(
                f"{name} and {names[0]} know different {first.task.nouns}: {listed(others)}. They "
                "cannot be compared."
            )


def _describe_run(name: str, run: RunDirectory, judged: _Judged) -> ComparedRun:
    lead = judged.task.figures.lead(judged.figures)
    phases = [read_json(file) for file in sorted(run.path.glob("phases/*/phase.json"))]
    return ComparedRun(
        name,
        str(run.path),
        (judged.split, judged.figures["examples"]),
        Score(lead.name, lead.value, lead.interval, lead.is_share),
        tuple(list_scores(judged.figures)),
        sum(phase["seconds"] for phase in phases),
        run.model.stat().st_size / 1e6,
    )


def _pair(
    names: Sequence[str], read: Sequence[_Judged]
) -> tuple[tuple[PairedDifference, ...], str]:
    """Compare each run with the first, over the examples that all have with one target."""
    first, task = read[0], read[0].task
    shared = _find_shared(read)
    total = len(first.predictions.files)
    if len(shared) < 2:
        return (), (
            "The runs were judged on different examples, so only their intervals can be compared. "
            "Judge them on the same data: `kft evaluate RUN --data PATH`, then "
            "`kft compare --split other-NAME`."
        )
    outputs = [_take(each, shared, first) for each in read]
    targets = _take_targets(first, shared)
    found = []
    for name, other in zip(names[1:], outputs[1:], strict=True):
        rights = [task.figures.are_right(each, targets) for each in (outputs[0], other)]
        if rights[0] is not None and rights[1] is not None:
            difference = paired_proportions(rights[0], rights[1])
            chance = mcnemar(rights[0], rights[1])
            found.append(PairedDifference(name, "accuracy", len(shared), difference, chance))
            continue
        losses = [compute_losses(task, each, targets) for each in (outputs[0], other)]
        gains = losses[0] - losses[1]
        found.append(
            PairedDifference(name, "loss", len(shared), paired_mean(gains), signed_ranks(gains))
        )
    chances = adjust([each.chance for each in found])
    adjusted = tuple(
        replace(each, chance=chance) for each, chance in zip(found, chances, strict=True)
    )
    counts = f"{len(shared):,} of {total:,}" if len(shared) < total else f"all {total:,}"
    return adjusted, f"Compared on {counts} examples of {first.split}, pair by pair."


def _find_shared(read: Sequence[_Judged]) -> list[str]:
    """Find the examples that every run judged with the same target."""
    targets = [
        dict(
            zip(
                each.predictions.files,
                (each.task.format(target, each.names) for target in each.predictions.targets),
                strict=True,
            )
        )
        for each in read
    ]
    return [
        name
        for name, target in targets[0].items()
        if all(
            name in other and read[0].task.are_equal(other[name], target) for other in targets[1:]
        )
    ]


def _take(judged: _Judged, shared: Sequence[str], first: _Judged) -> np.ndarray:
    """Outputs about the shared examples, with the names in the order of the first run."""
    places = {name: place for place, name in enumerate(judged.predictions.files)}
    columns = [judged.names.index(name) for name in first.names]
    rows = [places[name] for name in shared]
    taken: np.ndarray = judged.predictions.outputs[np.ix_(rows, columns)]
    return taken


def _take_targets(first: _Judged, shared: Sequence[str]) -> np.ndarray:
    places = {name: place for place, name in enumerate(first.predictions.files)}
    taken: np.ndarray = first.predictions.targets[[places[name] for name in shared]]
    return taken


def _find_settings(runs: Sequence[RunDirectory]) -> list[Setting]:
    read = [dict(flatten(load_run_pipeline(run).model_dump(mode="json"))) for run in runs]
    paths = dict.fromkeys(path for values in read for path in values)
    found = []
    for path in paths:
        values = tuple(json.dumps(values.get(path), ensure_ascii=False) for values in read)
        if len(set(values)) > 1 and path not in _PLACES:
            found.append(Setting(path, values))
    return found


def _draw_curves(names: Sequence[str], runs: Sequence[RunDirectory]) -> Chart | None:
    """Draw the loss of each run by epoch: on validation where it was computed."""
    lines = []
    for name, run in zip(names, runs, strict=True):
        history = read_history(run)
        if history is not None:
            line = {line.name: line for line in history.lines}
            chosen = line.get("validation", history.lines[0])
            lines.append(Line(f"{name}, {chosen.name}", chosen.x, chosen.y))
    return draw_history(History(tuple(lines), ())) if lines else None
