"""Evaluation of a task's answers: losses of examples, figures and tables."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from kft.printing import printable

# Rows of a CSV file with the header first, or the arrays of an npz file.
Table: TypeAlias = "Iterable[Sequence[str]] | Mapping[str, np.ndarray]"

# Key of the intervals in the result of `Figures.compute`.
INTERVALS = "intervals_95_percent"
ANSWERS = "answers.npz"
"""Table of an evaluation with `files`, `targets` and `outputs`, if a CSV file cannot hold them."""
# Lower bound that keeps the logarithm of a probability finite; such an answer has a loss of 16.
LEAST_PROBABILITY = 1e-7
# Number of names without examples that a headline lists.
_NAMED = 5


@dataclass(frozen=True)
class Lead:
    """The leading figure of an evaluation, beside its baseline.

    Attributes:
        name: Name of the figure, in words.
        value: The figure.
        interval: Its 95 % interval; None if unknown.
        baseline_name: What the baseline does, in words.
        baseline: Figure of the baseline; None if unknown.
        is_share: Whether the figure is a share of right answers; otherwise it is an error.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    baseline_name: str
    baseline: float | None
    is_share: bool = True


class Figures(ABC):
    """Losses, figures and tables of a task's answers.

    Outputs are probabilities or numbers (examples, outputs). Methods that compare models take them
    standardised, as returned by `Head.activate`, with targets from `Head.standardise`. Methods
    whose results people read take them in the unit of the targets.

    Attributes:
        names_key: Key in the result of `compute` for the figures of each name.
    """

    names_key: ClassVar[str]

    @abstractmethod
    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Compute the loss of each example, float64 (examples,), without terms of the pipeline.

        Args:
            outputs: Standardised outputs.
            targets: Standardised targets.
        """

    def are_right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        """Tell whether each answer is right, bool (examples,); None if it can be partly right.

        Args:
            outputs: Standardised outputs.
            targets: Standardised targets.
        """
        return None

    def accuracy(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Compute the share of right answers; None if answers are not right or wrong.

        Args:
            outputs: Standardised outputs.
            targets: Standardised targets.
        """
        right = self.are_right(outputs, targets)
        return None if right is None else float(np.mean(right))

    def lead_values(
        self, targets: np.ndarray, outputs: np.ndarray, train_targets: np.ndarray
    ) -> np.ndarray | None:
        """Compute the values of examples whose mean is the leading figure, (examples,).

        Args:
            targets: Targets as in `Examples.targets`.
            outputs: Outputs in the unit of the targets.
            train_targets: Training targets, for the units of numbers.

        Returns:
            Bool if each answer is right or wrong, else float64; None if the figure is no mean.
        """
        return None

    def find_events(
        self, outputs: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Find the events that answers state probabilities of, and whether they came true.

        Args:
            outputs: Outputs in the unit of the targets.
            targets: Targets as in `Examples.targets`.

        Returns:
            Probabilities (events,) and bool (events,); None for answers without probabilities.
        """
        return None

    @abstractmethod
    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """Compute the figures of one split, as JSON values, with their baselines.

        Args:
            targets: Targets as in `Examples.targets`.
            outputs: Outputs in the unit of the targets.
            names: Name of each output.
            train_targets: Training targets, for a baseline that does not look at the inputs.
            groups: Group of each example, any values (examples,), whose examples resemble each
                other; None if each stands alone. Only intervals depend on it.

        Returns:
            Figures, with those of each name under `names_key`. A name without examples in the
            split has None for all figures and is listed in `not_judged`. `INTERVALS` holds the
            95 % intervals, each under the key of its figure; None for an unknown one.
        """

    @abstractmethod
    def headline(self, figures: Mapping[str, Any]) -> str:
        """Format the headline, a single line.

        Args:
            figures: Figures from `compute`, or as an older run wrote them.
        """

    @abstractmethod
    def lead(self, figures: Mapping[str, Any]) -> Lead:
        """Find the leading figure, with its interval and its baseline.

        Args:
            figures: Figures from `compute`, or as an older run wrote them.
        """

    def list_values(self, output: np.ndarray, names: Sequence[str]) -> dict[str, float]:
        """List the value of each name in one answer.

        Args:
            output: Output for one example, in the unit of the targets.
            names: Name of each output.
        """
        return dict(zip(names, output.tolist(), strict=True))

    def mark_boxes(self, target: np.ndarray, output: np.ndarray) -> np.ndarray | None:
        """Mark the boxes of one example for a drawing (boxes, 6); None for answers without boxes.

        Args:
            target: Target of the example.
            output: Output for it, in the unit of the targets.

        Returns:
            Class, left, top, right, bottom, and one of the marks of `kft.tasks.base`.
        """
        return None

    def trace_curves(
        self, targets: np.ndarray, outputs: np.ndarray, names: Sequence[str]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Trace recall and precision of each name (points,); empty for answers without them.

        Args:
            targets: Targets as in `Examples.targets`.
            outputs: Outputs in the unit of the targets.
            names: Name of each output.
        """
        return {}

    def tabulate(
        self,
        names: Sequence[str],
        files: Sequence[str],
        targets: np.ndarray,
        outputs: np.ndarray,
    ) -> dict[str, Table]:
        """Make the tables of an evaluation: predictions.csv with one row per example, and others.

        By default it has `file`, and `true X` and `predicted X` for each name X. Columns have
        distinct names whatever the names of the outputs.

        Args:
            names: Name of each output.
            files: Name of each example.
            targets: Targets as in `Examples.targets`.
            outputs: Outputs in the unit of the targets.

        Returns:
            File name -> table.
        """
        return {"predictions.csv": _list_rows(names, files, targets, outputs)}


def find_interval(figures: Mapping[str, Any], *keys: str) -> tuple[float, float] | None:
    """Find the interval of a figure in metrics.json; None if it is unknown.

    Args:
        figures: Figures, where older runs had no `INTERVALS`.
        keys: Keys that lead to the figure.
    """
    found: Any = figures.get(INTERVALS)
    for key in keys:
        found = found.get(key) if found else None
    return (found[0], found[1]) if found else None


def none_if_nan(value: float) -> float | None:
    """Convert a figure to a JSON value; None for NaN."""
    return None if math.isnan(value) else float(value)


def name_unjudged(names: Sequence[str], support: np.ndarray) -> dict[str, list[str]]:
    """Make the entry of figures that lists names without examples; empty if there are none."""
    unjudged = [name for name, number in zip(names, support, strict=True) if not number]
    return {"not_judged": unjudged} if unjudged else {}


def count_examples(figures: Mapping[str, Any]) -> str:
    """Format the number of examples for a headline, with the names that have none."""
    names = [printable(name) for name in figures.get("not_judged", [])]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    unjudged = f"; not judged: {', '.join(names[:_NAMED])}{more}" if names else ""
    return f"{figures['examples']} examples{unjudged}"


def _list_rows(
    names: Sequence[str], files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterator[list[str]]:
    """Make rows with the columns `file`, and `true X` and `predicted X` for each name X."""
    yield ["file", *(f"{what} {name}" for what in ("true", "predicted") for name in names)]
    for file, target, row in zip(files, targets, outputs, strict=True):
        yield [file, *map(format_exactly, target), *map(format_exactly, row)]


def format_exactly(value: np.floating) -> str:
    """Format a number so that it can be read back exactly."""
    return format(value.item(), ".9g") if value.dtype == np.float32 else repr(float(value))
