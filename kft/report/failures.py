"""Failures of a model for its report: confusion, scores per name, slices and mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kft.evaluation.mistakes import (
    MOST_UNSORTED,
    count_confusions,
    find_confusions,
    order_classes,
    rank_mistakes,
)
from kft.evaluation.prediction_reading import Predictions
from kft.evaluation.slices import Slice
from kft.report.record import (
    ConfusionTable,
    Failures,
    Line,
    Mistake,
    NamedScores,
    Score,
)
from kft.tasks import Task
from kft.tasks.figures import find_interval

# Classes of the confusion table; of more, those with most mistakes.
_MOST_CLASSES = 40
_NUM_PAIRS = 8
_NUM_SLICES = 10
_NUM_MISTAKES = 24
# Examples with the highest losses that are shown if all answers are right.
_NUM_UNSURE = 6
_NUM_ALTERNATIVES = 5

# Figures of names that are numbers of examples or of objects in them.
_COUNTS = ("examples", "boxes")
_WRITTEN = {"f1": "F1", "roc": "ROC", "auc": "AUC", "r": "R", "brier": "Brier"}

Preview = Callable[[str, np.ndarray | None], str | None]
"""Name of a file, and marked boxes to draw into it -> a preview as a data URI, or None."""


def find_failures(
    task: Task,
    figures: Mapping[str, Any],
    predictions: Predictions,
    slices: Sequence[Slice],
    preview: Preview,
) -> Failures:
    """Find where a model fails.

    Args:
        task: Task of the answers.
        figures: Figures of the evaluation.
        predictions: Answers of the evaluation.
        slices: Slices of the evaluation, worst first.
        preview: Makes a preview of an example.
    """
    names = tuple(figures[task.figures.names_key])
    confusion = _tabulate_confusion(names, predictions) if task.has_classes else None
    return Failures(
        confusion,
        list_names(task, figures),
        tuple(slices[:_NUM_SLICES]),
        _list_mistakes(task, names, predictions, preview),
        () if task.is_stratified else tuple(_pair_numbers(names, predictions)),
        tuple(
            Line(name, tuple(recall.tolist()), tuple(precision.tolist()))
            for name, (recall, precision) in task.figures.trace_curves(
                predictions.targets, predictions.outputs, names
            ).items()
        ),
    )


def name_figure(key: str) -> str:
    """Name a figure in words.

    >>> name_figure("macro_f1"), name_figure("roc_auc")
    ('macro F1', 'ROC AUC')

    Args:
        key: Its key in metrics.json.
    """
    return " ".join(_WRITTEN.get(word, word) for word in key.split("_"))


def list_names(task: Task, figures: Mapping[str, Any]) -> tuple[NamedScores, ...]:
    """List the scores of each class, label or number.

    Args:
        task: Task of the figures.
        figures: Figures of the evaluation.
    """
    key = task.figures.names_key
    return tuple(
        NamedScores(
            name,
            tuple(
                Score(
                    name_figure(figure),
                    value,
                    find_interval(figures, key, name, figure),
                    is_share=task.is_stratified,
                )
                for figure, value in values.items()
                if figure not in _COUNTS
            ),
            values.get("examples"),
        )
        for name, values in figures[key].items()
    )


def _tabulate_confusion(names: Sequence[str], predictions: Predictions) -> ConfusionTable:
    targets, outputs = predictions.targets, predictions.outputs
    predicted = outputs.argmax(axis=1)
    counts = count_confusions(targets, predicted, len(names))
    chosen = np.arange(len(names))
    if len(names) > _MOST_CLASSES:
        own = np.diagonal(counts)
        mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * own
        chosen = np.sort(np.argsort(-mistakes, kind="stable")[:_MOST_CLASSES])
    counts = counts[np.ix_(chosen, chosen)]
    if len(names) > MOST_UNSORTED:
        order = order_classes(counts)
        chosen, counts = chosen[order], counts[np.ix_(order, order)]
    pairs = find_confusions(targets, predicted, outputs.max(axis=1))[:_NUM_PAIRS]
    return ConfusionTable(
        tuple(names[place] for place in chosen.tolist()),
        counts,
        len(names),
        tuple(
            (names[pair.true], names[pair.predicted], len(pair.examples), pair.share)
            for pair in pairs
        )
        if len(names) > 2
        else (),
    )


def _list_mistakes(
    task: Task, names: Sequence[str], predictions: Predictions, preview: Preview
) -> tuple[Mistake, ...]:
    outputs, targets = predictions.outputs, predictions.targets
    ranked = rank_mistakes(task, outputs, targets)
    right = ranked.right
    mistakes = []
    num_shown = _NUM_MISTAKES if right is None or not right.all() else _NUM_UNSURE
    for place in ranked.places[:num_shown].tolist():
        values = task.figures.list_values(outputs[place], names)
        best = sorted(values.items(), key=lambda each: -each[1])[:_NUM_ALTERNATIVES]
        file = predictions.files[place]
        mistakes.append(
            Mistake(
                file,
                preview(file, task.figures.mark_boxes(targets[place], outputs[place])),
                _describe_truth(task, targets[place], names),
                _describe_answer(task, values),
                tuple(best) if task.is_stratified else (),
                bool(right is None or not right[place]),
                float(ranked.losses[place]),
            )
        )
    return tuple(mistakes)


def _describe_truth(task: Task, target: np.ndarray, names: Sequence[str]) -> str:
    if task.is_stratified:
        return task.summarise(target, names).replace(";", ", ") or "none"
    return _list_values(task, dict(zip(names, target.tolist(), strict=True)))


def _describe_answer(task: Task, values: Mapping[str, float]) -> str:
    chosen = task.choose(values)
    if chosen is None:
        return _list_values(task, values)
    return ", ".join(f"{name} {task.format_value(values[name])}" for name in chosen) or "none"


def _list_values(task: Task, values: Mapping[str, float]) -> str:
    """List numbers, by name if there are several."""
    if len(values) == 1:
        return task.format_value(next(iter(values.values())))
    return ", ".join(f"{name} {task.format_value(value)}" for name, value in values.items())


def _pair_numbers(names: Sequence[str], predictions: Predictions) -> Iterator[Line]:
    for place, name in enumerate(names):
        true, answered = predictions.targets[:, place], predictions.outputs[:, place]
        yield Line(name, tuple(true.tolist()), tuple(answered.tolist()))
