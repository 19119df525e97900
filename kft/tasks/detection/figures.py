"""Figures of detection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_share
from kft.statistics import bootstrap_intervals, describe_ends
from kft.tasks.base import ABSENT
from kft.tasks.detection.answers import choose_answers, find_hits, mark_boxes
from kft.tasks.detection.average_precision import (
    average_precision,
    most_recall,
    trace_precision,
)
from kft.tasks.detection.doubts import list_doubts
from kft.tasks.detection.matching import ALL, SIZES, THRESHOLDS, Matches, match_boxes, match_classes
from kft.tasks.detection.task import present_boxes
from kft.tasks.detection.weights import count_boxes
from kft.tasks.figures import (
    ANSWERS,
    INTERVALS,
    Figures,
    Lead,
    Table,
    count_examples,
    find_interval,
    name_unjudged,
    none_if_nan,
)

# Figure -> the places of its thresholds.
_AVERAGED = {
    "average_precision": range(len(THRESHOLDS)),
    "average_precision_50": range(1),
    "average_precision_75": range(5, 6),
}
_LEAD = "average_precision_50"
# Probability that a loss states for a true box that no answer matches.
_LEAST_SCORE = 0.02


class BoxFigures(Figures):
    """Figures of boxes: COCO's average precisions, by class and by size.

    `average_precision` is the mean over overlaps from .5 to .95 from which an answer is right.
    """

    names_key: ClassVar[str] = "box_classes"

    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute losses of the answers as statements.

        An answer with score p states that there is an object with this probability. It is right at
        the share q of the overlaps from .5 to .95. So it costs the cross-entropy of q and p, and
        what is missing of a true box costs as much as with a score of .02. The sum is divided by
        the number of true boxes.
        """
        return np.array([_judge_statements(*pair) for pair in zip(outputs, targets, strict=True)])

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """Compute the figures; classes without boxes do not count in means over classes.

        The baseline answers every example with the mean training box of each class.
        """
        matches = match_classes(targets, outputs, len(names))
        ones = np.ones((len(targets), 1))
        of_all, of_classes = _average(matches, ones)
        baseline = match_classes(targets, _answer_means(train_targets, len(targets)), len(names))
        ends_of_all, ends_of_classes = _find_intervals(matches, len(targets), groups)
        boxes = count_boxes(targets, len(names))
        members = (targets[:, :, :1] == np.arange(len(names))).any(axis=1).sum(axis=0)
        keys = [*_AVERAGED, "average_recall"]
        return {
            "examples": len(targets),
            "boxes": int(boxes.sum()),
            **{key: none_if_nan(value[0]) for key, value in of_all.items()},
            f"baseline_{_LEAD}": none_if_nan(_average(baseline, ones)[0][_LEAD][0]),
            **_count_found(targets, outputs),
            self.names_key: {
                name: {
                    **{key: none_if_nan(of_classes[key][place, 0]) for key in keys},
                    "boxes": int(boxes[place]),
                    "examples": int(members[place]),
                }
                for place, name in enumerate(names)
            },
            INTERVALS: {
                **{key: describe_ends(ends) for key, ends in ends_of_all.items()},
                self.names_key: {
                    name: {
                        key: describe_ends(ends[place], digits=4)
                        for key, ends in ends_of_classes.items()
                    }
                    for place, name in enumerate(names)
                },
            },
            **name_unjudged(names, boxes),
        }

    def headline(self, figures: Mapping[str, Any]) -> str:
        """Format the average precision at an overlap of .5, and over all overlaps."""
        lead = self.lead(figures)
        within = ""
        if lead.interval is not None:
            low, high = map(format_share, lead.interval)
            within = f" (95 % interval {low} to {high})"
        return (
            f"AP50 {format_share(lead.value)}{within}, AP "
            f"{format_share(figures['average_precision'] or 0.0)}, {figures['boxes']:,} boxes in "
            f"{count_examples(figures)}"
        )

    def lead(self, figures: Mapping[str, Any]) -> Lead:
        """Find the average precision at an overlap of .5."""
        name = "answering the mean box of each class"
        baseline = figures[f"baseline_{_LEAD}"]
        return Lead("AP50", figures[_LEAD] or 0.0, find_interval(figures, _LEAD), name, baseline)

    def list_values(self, output: np.ndarray, names: Sequence[str]) -> dict[str, float]:
        """List the highest score of each class."""
        return {
            name: float(output[output[:, 0] == place, 5].max(initial=0.0))
            for place, name in enumerate(names)
        }

    def mark_boxes(self, target: np.ndarray, output: np.ndarray) -> np.ndarray:
        """Mark right answers, missed boxes and wrong answers."""
        return mark_boxes(target, output)

    def trace_curves(
        self, targets: np.ndarray, outputs: np.ndarray, names: Sequence[str]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Trace precision over recall of each class at an overlap of .5."""
        ones = np.ones((len(targets), 1))
        curves = {}
        for name, matches in zip(names, match_classes(targets, outputs, len(names)), strict=True):
            if matches.support[0].any() and matches.is_right[0, 0].any():
                precision, recall = trace_precision(matches, ALL, ones, 0)
                curves[name] = (recall[:, 0], precision[:, 0])
        return curves

    def tabulate(
        self,
        names: Sequence[str],
        files: Sequence[str],
        targets: np.ndarray,
        outputs: np.ndarray,
    ) -> dict[str, Table]:
        """Make predictions.csv with counts of each example, boxes.csv, and answers.npz.

        boxes.csv has a row for each answer, with the class and the sides as fractions of the
        example; doubtful_boxes.csv those that are probably missing or wrong. answers.npz has true
        boxes and answers as arrays.
        """
        return {
            "predictions.csv": _list_counts(files, targets, outputs),
            "boxes.csv": _list_boxes(names, files, outputs),
            "doubtful_boxes.csv": list_doubts(names, files, targets, outputs),
            ANSWERS: {"files": np.array(files), "targets": targets, "outputs": outputs},
        }


def _judge_statements(output: np.ndarray, target: np.ndarray) -> float:
    truth, answers = present_boxes(target), present_boxes(output)
    loss, missing = 0.0, float(len(truth))
    for code in np.union1d(truth[:, 0], answers[:, 0]):
        own = answers[answers[:, 0] == code]
        own = own[np.argsort(-own[:, 5], kind="stable")].astype(np.float64)
        right = match_boxes(truth[truth[:, 0] == code][:, 1:].astype(np.float64), own[:, 1:5])[0]
        quality = right[0].mean(axis=0)
        score = np.clip(own[:, 5], 1e-7, 1 - 1e-7)
        loss -= float((quality * np.log(score) + (1 - quality) * np.log1p(-score)).sum())
        missing -= float(quality.sum())
    return (loss - missing * np.log(_LEAST_SCORE)) / max(1, len(truth))


def _average(
    matches: Sequence[Matches], weights: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Compute figures of all classes (resamples,), and of each (classes, resamples)."""
    precise = np.stack([average_precision(each, ALL, weights) for each in matches])
    of_classes = {key: precise[:, places].mean(axis=1) for key, places in _AVERAGED.items()}
    of_classes["average_recall"] = np.stack([most_recall(each, ALL, weights) for each in matches])
    of_all = {key: _mean(values) for key, values in of_classes.items()}
    for size in SIZES:
        sized = [average_precision(each, size, weights).mean(axis=0) for each in matches]
        of_all[f"average_precision_{size}"] = _mean(np.stack(sized))
    return of_all, of_classes


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the classes that have true boxes; NaN if none has."""
    is_judged = ~np.isnan(values)
    count = is_judged.sum(axis=0)
    mean: np.ndarray = np.where(is_judged, values, 0.0).sum(axis=0) / np.where(count, count, np.nan)
    return mean


def _find_intervals(
    matches: Sequence[Matches], num_examples: int, groups: np.ndarray | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Find 95 % intervals, ends (2,) of all classes and (classes, 2) of each."""
    keys: tuple[list[str], list[str]] = ([], [])

    def compute(weights: np.ndarray) -> np.ndarray:
        of_all, of_classes = _average(matches, weights)
        keys[0][:], keys[1][:] = of_all, of_classes
        return np.concatenate([np.stack([*of_all.values()]), *of_classes.values()])

    ends = bootstrap_intervals(compute, num_examples, groups)
    of_all, of_classes = ends[: len(keys[0])], ends[len(keys[0]) :]
    parts = np.split(of_classes, len(keys[1]))
    return dict(zip(keys[0], of_all, strict=True)), dict(zip(keys[1], parts, strict=True))


def _answer_means(train_targets: np.ndarray, num_examples: int) -> np.ndarray:
    """Answer every example with the mean box of each class, with its share as the score."""
    boxes = present_boxes(train_targets.reshape(-1, train_targets.shape[-1]))
    means = [
        [code, *boxes[boxes[:, 0] == code, 1:].mean(axis=0), (boxes[:, 0] == code).mean()]
        for code in np.unique(boxes[:, 0])
    ]
    answers = np.array(means or [[ABSENT, 0, 0, 0, 0, 0]], np.float64)
    return np.broadcast_to(answers, (num_examples, *answers.shape))


def _count_found(targets: np.ndarray, outputs: np.ndarray) -> dict[str, Any]:
    """Count what the shown answers find: precision and recall at an overlap of .5."""
    num_true = num_answered = num_found = 0
    for target, output in zip(targets, outputs, strict=True):
        truth, answers = present_boxes(target), choose_answers(output)
        num_true, num_answered = num_true + len(truth), num_answered + len(answers)
        num_found += int(find_hits(truth, answers)[1].sum())
    return {
        "shown_precision": num_found / num_answered if num_answered else None,
        "shown_recall": num_found / num_true if num_true else None,
    }


def _list_counts(
    files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterator[list[str]]:
    yield ["file", "true boxes", "answered", "found", "missed", "wrong"]
    for file, target, output in zip(files, targets, outputs, strict=True):
        truth, answers = present_boxes(target), choose_answers(output)
        found = int(find_hits(truth, answers)[1].sum())
        counts = (len(truth), len(answers), found, len(truth) - found, len(answers) - found)
        yield [file, *map(str, counts)]


def _list_boxes(
    names: Sequence[str], files: Sequence[str], outputs: np.ndarray
) -> Iterator[list[str]]:
    yield ["file", "class", "left", "top", "right", "bottom", "score"]
    for file, output in zip(files, outputs, strict=True):
        for row in present_boxes(output):
            yield [file, names[int(row[0])], *(f"{value:.6g}" for value in row[1:].tolist())]
