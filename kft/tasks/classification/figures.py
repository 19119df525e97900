"""Figures of classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_share
from kft.printing import printable
from kft.statistics import wilson_interval
from kft.tasks.figures import (
    LEAST_PROBABILITY,
    Figures,
    Table,
    count_examples,
    format_exactly,
    name_unjudged,
)

# Largest number of classes for which predictions.csv has a column of probabilities per class.
MOST_COLUMNS = 100
# Number of most probable classes in predictions.csv if there are more classes.
NUM_CHOICES = 5
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

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
    ) -> dict[str, Any]:
        """Compute the figures; classes without examples do not count in `macro_f1`."""
        from sklearn import metrics

        predicted = outputs.argmax(axis=1)
        correct = int((predicted == targets).sum())
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            targets, predicted, labels=list(range(len(names))), zero_division=0.0
        )
        majority = int(np.bincount(train_targets, minlength=len(names)).argmax())
        answered = np.bincount(predicted, minlength=len(names))
        return {
            "examples": len(targets),
            "accuracy": correct / len(targets),
            "accuracy_95_percent_interval": list(wilson_interval(correct, len(targets))),
            "majority_class_accuracy": float((targets == majority).mean()),
            "balanced_accuracy": float(recall[support > 0].mean()),
            "macro_f1": float(f1[support > 0].mean()),
            "log_loss": _log_loss(targets, outputs),
            "most_answered": {
                "class": names[int(answered.argmax())],
                "examples": int(answered.max()),
            },
            self.names_key: {
                name: {
                    "precision": float(precision[i]) if support[i] else None,
                    "recall": float(recall[i]) if support[i] else None,
                    "f1": float(f1[i]) if support[i] else None,
                    "examples": int(support[i]),
                }
                for i, name in enumerate(names)
            },
            **name_unjudged(names, support),
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


def _log_loss(targets: np.ndarray, probabilities: np.ndarray) -> float:
    true = probabilities[np.arange(len(targets)), targets]
    # Smaller probabilities are zero in float32.
    return float(-np.log(np.maximum(true.astype(np.float64), 1e-38)).mean())


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
