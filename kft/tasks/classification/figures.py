"""How answers of one class of several are judged."""

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

# Classes up to which predictions.csv has a column for the probability of each.
MOST_COLUMNS = 100
# The most probable classes, of which it tells where there are more.
NUM_CHOICES = 5
# Share of the answers from which on one class is said to be all that a model answers.
_NEARLY_ALL = 0.95


class ClassFigures(Figures):
    """Accuracy with its interval, and precision, recall and F1 of each class."""

    names_key: ClassVar[str] = "classes"

    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Cross-entropy."""
        likely = np.asarray(outputs, np.float64)[np.arange(len(outputs)), targets]
        losses: np.ndarray = -np.log(np.maximum(likely, LEAST_PROBABILITY))
        return losses

    def are_right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Whether the most probable class is that of the example."""
        right: np.ndarray = outputs.argmax(axis=1) == targets
        return right

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
    ) -> dict[str, Any]:
        """See `Figures`; a class without an example is not in `macro_f1`."""
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
        """The accuracy beside that of the majority class."""
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
        """See `Figures`.

        predictions.csv has `file`, `true`, `predicted`, and `probability X` for each class X. Of
        more than `MOST_COLUMNS` classes the row has the five most probable ones, and
        probabilities.npz has all probabilities. confusion.csv counts how often each true class
        was answered as each other, where it ever was.
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
    # float32 cannot tell a probability below this from zero.
    return float(-np.log(np.maximum(true.astype(np.float64), 1e-38)).mean())


def _say_one_class(figures: Mapping[str, Any]) -> str:
    """That the model answers one class alone, where it does and there are more."""
    # Runs of before do not say which class they answered most.
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
        told = [text for i in best for text in (names[i], format_exactly(row[i]))]
        yield [file, names[target], names[best[0]], format_exactly(row[target]), *told]


def _list_confusions(
    names: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterator[list[str]]:
    yield ["true", "predicted", "examples"]
    pairs = np.stack([targets, outputs.argmax(axis=1)], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    for (true, predicted), count in zip(found.tolist(), counts.tolist(), strict=True):
        yield [names[true], names[predicted], str(count)]
