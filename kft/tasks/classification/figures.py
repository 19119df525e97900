"""Figures of classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_share
from kft.printing import printable
from kft.statistics import rank_columns
from kft.tasks.figures import (
    INTERVALS,
    LEAST_PROBABILITY,
    Figures,
    Lead,
    Table,
    count_examples,
    format_exactly,
    name_unjudged,
)
from kft.tasks.name_counts import NameCounts, describe_intervals, describe_scores, judge_units

# Largest number of classes for which predictions.csv has a column of probabilities per class.
MOST_COLUMNS = 100
# Number of most probable classes in predictions.csv if there are more classes.
NUM_CHOICES = 5
# Answers among which the true class counts for the figures `top_…_accuracy`.
_NUM_TOP = (3, 5)
# Examples that are ranked at once.
_ROWS = 1024
# Share of answers from which on the headline says that a model answers a single class.
_NEARLY_ALL = 0.95


class ClassFigures(Figures):
    """Figures of classification: accuracy with interval; precision, recall and F1 per class."""

    names_key: ClassVar[str] = "classes"

    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute cross-entropies."""
        likely = np.asarray(outputs, np.float64)[np.arange(len(outputs)), targets]
        losses: np.ndarray = -np.log(np.maximum(likely, LEAST_PROBABILITY))
        return losses

    def are_right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Tell whether the most probable class is that of the example."""
        right: np.ndarray = outputs.argmax(axis=1) == targets
        return right

    def lead_values(
        self, targets: np.ndarray, outputs: np.ndarray, train_targets: np.ndarray
    ) -> np.ndarray:
        """Tell which answers are right."""
        return self.are_right(outputs, targets)

    def find_events(
        self, outputs: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the probability of each answer, and whether the answer is right."""
        return outputs.max(axis=1), self.are_right(outputs, targets)

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """Compute the figures; classes without examples do not count in means over classes.

        ROC AUC and average precision are those of each class against all others.
        """
        predicted = outputs.argmax(axis=1)
        counts = NameCounts.of_classes(targets, predicted, len(names))
        scores = counts.score()
        ranking = rank_columns((targets == place for place in range(len(names))), outputs)
        places = _find_places(targets, outputs)
        # Values of the examples whose means are figures.
        means = {"accuracy": places == 0, "log_loss": _log_losses(targets, outputs)}
        for number in _NUM_TOP:
            if number < len(names):
                means[f"top_{number}_accuracy"] = places < number
        of_all, of_classes = describe_scores(scores, ranking, names)
        intervals, class_intervals = describe_intervals(
            *counts.find_intervals(means, ranking, groups), names
        )
        majority = int(np.bincount(train_targets, minlength=len(names)).argmax())
        answered = np.bincount(predicted, minlength=len(names))
        return {
            "examples": len(targets),
            **{name: float(values.mean()) for name, values in means.items()},
            "accuracy_95_percent_interval": intervals["accuracy"]
            or judge_units(means["accuracy"], groups),
            "majority_class_accuracy": float((targets == majority).mean()),
            **of_all,
            "most_answered": {
                "class": names[int(answered.argmax())],
                "examples": int(answered.max()),
            },
            self.names_key: of_classes,
            INTERVALS: {**intervals, self.names_key: class_intervals},
            **name_unjudged(names, scores.support[:, 0]),
        }

    def headline(self, figures: Mapping[str, Any]) -> str:
        """Format the accuracy, with that of the majority class."""
        low, high = figures["accuracy_95_percent_interval"]
        return (
            f"accuracy {format_share(figures['accuracy'])} (95 % interval {format_share(low)} to "
            f"{format_share(high)}; answering the majority class: "
            f"{format_share(figures['majority_class_accuracy'])}), "
            f"{count_examples(figures)}{_say_one_class(figures)}"
        )

    def lead(self, figures: Mapping[str, Any]) -> Lead:
        """Find the accuracy."""
        low, high = figures["accuracy_95_percent_interval"]
        baseline = figures["majority_class_accuracy"]
        name = "always answering the most frequent class"
        return Lead("accuracy", figures["accuracy"], (low, high), name, baseline)

    def tabulate(
        self,
        names: Sequence[str],
        files: Sequence[str],
        targets: np.ndarray,
        outputs: np.ndarray,
    ) -> dict[str, Table]:
        """Make predictions.csv, confusion.csv and, with many classes, probabilities.npz.

        predictions.csv has `file`, `true`, `predicted`, and `probability X` for each class X. With
        more than `MOST_COLUMNS` classes it has only the five most probable ones, and
        probabilities.npz has all probabilities. confusion.csv counts the pairs of true and
        predicted class that occur.
        """
        confusion = _list_confusions(names, targets, outputs)
        if len(names) <= MOST_COLUMNS:
            rows = _list_probabilities(names, files, targets, outputs)
            return {"predictions.csv": rows, "confusion.csv": confusion}
        return {
            "predictions.csv": _list_choices(names, files, targets, outputs),
            "probabilities.npz": {
                "files": np.array(files),
                "class_names": np.array(names),
                "probabilities": outputs,
            },
            "confusion.csv": confusion,
        }


def _log_losses(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    true = probabilities[np.arange(len(targets)), targets]
    # Smaller probabilities are zero in float32.
    losses: np.ndarray = -np.log(np.maximum(true.astype(np.float64), 1e-38))
    return losses


def _find_places(targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Place of each example's class among its answers; of equal ones, the first comes first."""
    places = np.empty(len(targets), np.int64)
    classes = np.arange(outputs.shape[1])
    for start in range(0, len(targets), _ROWS):
        rows, own = outputs[start : start + _ROWS], targets[start : start + _ROWS, np.newaxis]
        value = np.take_along_axis(rows, own, axis=1)
        is_before = (rows > value) | ((rows == value) & (classes < own))
        places[start : start + _ROWS] = is_before.sum(axis=1)
    return places


def _say_one_class(figures: Mapping[str, Any]) -> str:
    """Format a warning if the model answers a single class although there are several."""
    # Older runs did not record the class that they answered most.
    most = figures.get("most_answered", {"examples": 0})
    total = figures["examples"]
    num_present = sum(values["examples"] > 0 for values in figures[ClassFigures.names_key].values())
    is_better = figures["accuracy"] > figures["majority_class_accuracy"]
    if num_present < 2 or most["examples"] < _NEARLY_ALL * total or is_better:
        return ""
    count = "all of them" if most["examples"] == total else f"{most['examples']} of them"
    return (
        f". The model answers '{printable(most['class'])}' for {count}: no better than the "
        f"majority class. Balanced accuracy {format_share(figures['balanced_accuracy'])}; "
        "training.class_weights, training.sampling or training.logit_adjustment may help"
    )


def _list_probabilities(
    names: Sequence[str], files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterator[list[str]]:
    yield ["file", "true", "predicted", *(f"probability {name}" for name in names)]
    for file, target, row in zip(files, targets, outputs, strict=True):
        yield [file, names[target], names[row.argmax()], *map(format_exactly, row)]


def _list_choices(
    names: Sequence[str], files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterator[list[str]]:
    choices = range(1, NUM_CHOICES + 1)
    columns = [f"{what} {place}" for place in choices for what in ("choice", "probability")]
    yield ["file", "true", "predicted", "probability of true", *columns]
    for file, target, row in zip(files, targets, outputs, strict=True):
        best = np.argsort(-row, kind="stable")[:NUM_CHOICES]
        chosen = [text for i in best for text in (names[i], format_exactly(row[i]))]
        yield [file, names[target], names[best[0]], format_exactly(row[target]), *chosen]


def _list_confusions(
    names: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterator[list[str]]:
    yield ["true", "predicted", "examples"]
    pairs = np.stack([targets, outputs.argmax(axis=1)], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    for (true, predicted), count in zip(found.tolist(), counts.tolist(), strict=True):
        yield [names[true], names[predicted], str(count)]
