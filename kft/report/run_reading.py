"""Reading of a finished run into a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import Pipeline
from kft.data.splitting.split_files import read_split_lines
from kft.display import format_seconds
from kft.errors import RunError
from kft.evaluation import verdict
from kft.evaluation.abstention import trace_risk
from kft.evaluation.answering import describe_answering, read_answering
from kft.evaluation.calibration import Reliability, measure_reliability
from kft.evaluation.changes import read_changes
from kft.evaluation.drift import read_drift
from kft.evaluation.judgements import describe_judgements, read_judgements
from kft.evaluation.ladder import LearningPoint, Rung, read_ladder
from kft.evaluation.prediction_reading import Predictions, read_predictions, read_table
from kft.evaluation.robustness import read_robustness
from kft.evaluation.slices import read_slices
from kft.modalities import Modality, choose_modality
from kft.provenance import load_run_pipeline
from kft.report.explanations import list_explanations
from kft.report.failures import Preview, find_failures, name_figure
from kft.report.record import History, Line, Phase, Report, Score
from kft.runs import RunDirectory, open_run
from kft.runs.layout import read_json
from kft.runs.unseen_answers import read_last_unseen
from kft.tasks import Task, task_of_figures
from kft.tasks.figures import Lead, find_interval

# Longer side of a mistake's preview: legible in the gallery and large enough when opened.
_SIDE = 400
_CURVES = {"loss": "train", "val_loss": "validation"}
# Figures that stand elsewhere in a report, or are baselines.
_ELSEWHERE = ("examples", "accuracy", "different_answers", "standardised_absolute_error")
_BASELINE_WORDS = ("majority", "baseline")
# Figures between 0 and 1.
_SHARE_WORDS = ("accuracy", "f1", "auc", "precision", "recall", "match")


def read_report(path: Path, *, split: str | None = None) -> Report:
    """Read the report of a finished run.

    Args:
        path: Path of the run.
        split: Split or other data that was judged, as a folder of `evaluation/`; by default the
            holdout, or validation if there is no holdout.

    Raises:
        RunError: There is no finished run, it judged no such split, or a file is damaged.
    """
    run = open_run(path)
    split = split or run.find_judged()
    folder = run.evaluation(split)
    if not (folder / "metrics.json").is_file():
        judged = ", ".join(run.list_judged()) or "nothing"
        raise RunError(f"{path}: the run did not judge {split!r}. It judged: {judged}.")
    figures = read_json(folder / "metrics.json")
    task = task_of_figures(figures)
    lead = task.figures.lead(figures)
    predictions = read_predictions(folder, task, tuple(figures[task.figures.names_key]))
    reliability = _measure_reliability(task, predictions)
    phases = [read_json(file) for file in sorted(run.path.glob("phases/*/phase.json"))]
    rungs, learning = read_ladder(folder)
    pipeline = load_run_pipeline(run)
    modality = choose_modality(pipeline.data)
    train_counts = _count_training(run) if task.has_classes else Counter()
    return Report(
        "/".join(run.path.absolute().parts[-2:]),
        (split, figures["examples"]),
        f"{modality.name}-{task.name}",
        task.noun,
        task.nouns,
        Score(lead.name, lead.value, lead.interval, lead.is_share),
        tuple(
            _find_verdict(
                task, figures, phases, reliability, train_counts, ladder=(rungs, learning)
            )
        )
        + tuple(_judge_training(run, task)),
        rungs or tuple(_list_rungs(lead, phases)),
        tuple(list_scores(figures)),
        find_failures(
            task, figures, predictions, read_slices(folder), _make_preview(modality, pipeline)
        ),
        reliability,
        _trace_risk(task, predictions),
        read_history(run),
        learning,
        tuple(_describe_answering(folder)),
        tuple(map(_describe_phase, phases)),
        _list_facts(run, pipeline, figures, phases),
        run.pipeline.read_text(encoding="utf-8"),
        list_explanations(run),
        read_robustness(folder),
        read_changes(run.changes),
    )


def find_file(pipeline: Pipeline, name: str) -> Path | None:
    """Find an example's file below the data folder or beside the table; None if it is missing.

    Args:
        pipeline: The run's pipeline.
        name: Name of the example.
    """
    root = Path(pipeline.data.path or ".").expanduser()
    roots = (root, root.parent / (pipeline.data.table.folder or ""))
    return next((root / name for root in roots if (root / name).is_file()), None)


def read_history(run: RunDirectory) -> History | None:
    """Read the losses of all phases; None if no phase has epochs."""
    points: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in _CURVES}
    phases = []
    epoch = 0
    for file in sorted(run.path.glob("phases/*/history.csv")):
        table = read_table(file)
        phases.append((_name_phase(file.parent.name.partition("-")[2]), float(epoch + 1)))
        for column in set(_CURVES) & set(table.column_names):
            x, y = points[column]
            for place, value in enumerate(table[column].to_pylist()):
                if value is not None:
                    x.append(float(epoch + 1 + place))
                    y.append(float(value))
        epoch += len(table)
    lines = [Line(_CURVES[name], tuple(x), tuple(y)) for name, (x, y) in points.items() if x]
    return History(tuple(lines), tuple(phases)) if lines else None


def _measure_reliability(task: Task, predictions: Predictions) -> Reliability | None:
    events = task.figures.find_events(predictions.outputs, predictions.targets)
    return None if events is None else measure_reliability(*events)


def _trace_risk(task: Task, predictions: Predictions) -> Any:
    right = task.figures.are_right(predictions.outputs, predictions.targets)
    return None if right is None else trace_risk(predictions.outputs.max(axis=1), right)


def _find_verdict(
    task: Task,
    figures: Mapping[str, Any],
    phases: list[dict[str, Any]],
    reliability: Reliability | None,
    train_counts: Mapping[str, int],
    *,
    ladder: tuple[Sequence[Rung], Sequence[LearningPoint]],
) -> Iterator[str]:
    rungs, points = ladder
    lead = task.figures.lead(figures)
    yield verdict.judge_baseline(lead)
    sentences = (
        verdict.judge_fine_tuning(phases, rungs),
        None if reliability is None else verdict.judge_calibration(reliability),
        verdict.judge_names(figures[task.figures.names_key], task.noun, train_counts),
        verdict.judge_labels(points, is_share=lead.is_share),
    )
    yield from filter(None, sentences)


def _judge_training(run: RunDirectory, task: Task) -> Iterator[str]:
    """Judge the training labels by the answers of models that had not seen them."""
    unseen = read_last_unseen(run)
    if unseen is not None and task.has_classes:
        sentence = verdict.judge_training_labels(unseen.outputs, unseen.targets)
        if sentence:
            yield sentence


def _count_training(run: RunDirectory) -> Counter[str]:
    lines = read_split_lines(run.splits.read_bytes()).values()
    return Counter(target for split, target in lines if split == "train")


def _list_rungs(lead: Lead, phases: list[dict[str, Any]]) -> Iterator[Rung]:
    """List the rungs of an evaluation without a ladder, such as that of other data."""
    if lead.baseline is not None:
        yield Rung(lead.baseline_name, lead.baseline)
    seconds = sum(phase["seconds"] for phase in phases)
    yield Rung("this model", lead.value, lead.interval, seconds)


def list_scores(figures: Mapping[str, Any]) -> Iterator[Score]:
    """List the figures of an evaluation but for the leading one and baselines."""
    for name, value in figures.items():
        # Whole numbers are counts.
        is_figure = isinstance(value, float)
        if is_figure and name not in _ELSEWHERE and not name.startswith(_BASELINE_WORDS):
            is_share = any(word in name for word in _SHARE_WORDS)
            yield Score(name_figure(name), float(value), find_interval(figures, name), is_share)


def _describe_answering(folder: Path) -> Iterator[str]:
    yield from describe_answering(read_answering(folder))
    drift = read_drift(folder)
    if drift is not None:
        yield str(drift)


def _name_phase(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def _describe_phase(phase: Mapping[str, Any]) -> Phase:
    outcome = "undone: the model before it was better" if phase.get("is_undone") else "kept"
    if phase["method"] == "solve":
        learned = "the head, solved on stored features"
    else:
        steps = phase.get("steps_done") or 0
        num_blocks = len(phase["trainable"])
        learned = f"{num_blocks} block{'s' * (num_blocks != 1)}, {steps:,} steps"
    return Phase(_name_phase(phase["name"]), learned, phase["seconds"], outcome)


def _list_facts(
    run: RunDirectory,
    pipeline: Pipeline,
    figures: Mapping[str, Any],
    phases: list[dict[str, Any]],
) -> dict[str, dict[str, str]]:
    manifest = read_json(run.manifest)
    splits = Counter(split for split, _ in read_split_lines(run.splits.read_bytes()).values())
    backbone, hardware, versions = (manifest[key] for key in ("backbone", "hardware", "versions"))
    return {
        "Data": {
            "source": pipeline.data.path or "",
            "examples": ", ".join(f"{count:,} {split}" for split, count in splits.items()),
            "fingerprint": manifest["data_fingerprint"][:16],
            "holdout judged": describe_judgements(read_judgements(run)) or "not recorded",
        },
        "Model": {
            "backbone": pipeline.backbone.name,
            "weights": backbone["source"],
            "licence of the weights": backbone["licence"],
            "strategy": pipeline.strategy.name,
        },
        "Cost": {
            "training": format_seconds(sum(phase["seconds"] for phase in phases)),
            "size of the model": f"{run.model.stat().st_size / 1e6:,.1f} MB",
            "machine": f"{hardware['cpus']} cores, {hardware['machine']}",
            "versions": ", ".join(f"{name} {versions[name]}" for name in ("kft", "tensorflow")),
        },
    }


def _make_preview(modality: Modality, pipeline: Pipeline) -> Preview:
    settings = modality.settings_of(pipeline.data)

    def preview(name: str, boxes: np.ndarray | None) -> str | None:
        path = find_file(pipeline, name)
        if path is None:
            return None
        if boxes is None:
            return modality.preview(str(path), settings, side=_SIDE)
        return modality.preview_target(str(path), boxes, settings, side=_SIDE)

    return preview
