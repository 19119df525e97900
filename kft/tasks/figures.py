"""How the answers of a task are judged: one by one, in figures, in tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from kft.printing import printable

# Rows of a CSV file, the header first; or the arrays of an npz file.
Table: TypeAlias = "Iterable[Sequence[str]] | Mapping[str, np.ndarray]"

# Keeps the logarithm of a float32 probability finite; one such answer costs 16.
LEAST_PROBABILITY = 1e-7
# Names without an example that a headline tells.
_NAMED = 5


class Figures(ABC):
    """How the answers of a task are judged.

    Outputs are probabilities or numbers (examples, outputs). What compares models takes them
    standardised, as `Head.activate` gives them and `Head.standardise` the targets; what people
    read takes them in the unit of the targets.

    Attributes:
        names_key: Key of `compute` for the figures of each name.
    """

    names_key: ClassVar[str]

    @abstractmethod
    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Loss of each example, float64 (examples,), without what a pipeline adds in training.

        Args:
            outputs: Standardised.
            targets: Standardised.
        """

    def are_right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
        """Whether each answer is right, bool (examples,); None where it can be so in part.

        Args:
            outputs: Standardised.
            targets: Standardised.
        """
        return None

    def accuracy(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Share of what is answered right; None where there is no right and wrong.

        Args:
            outputs: Standardised.
            targets: Standardised.
        """
        right = self.are_right(outputs, targets)
        return None if right is None else float(np.mean(right))

    @abstractmethod
    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
    ) -> dict[str, Any]:
        """The figures for one split, as JSON values, each beside what it must be compared to.

        Args:
            targets: As `Examples.targets`.
            outputs: In the unit of the targets.
            names: Name of each output.
            train_targets: What a baseline that looks at no picture would know.

        Returns:
            By `names_key`, those of each name. Of a name without an example in the split all
            are None; it is named in `not_judged`, where there is one.
        """

    @abstractmethod
    def headline(self, figures: Mapping[str, Any]) -> str:
        """The one line that a person reads first.

        Args:
            figures: As `compute` gives them, or as a run of before wrote them.
        """

    @abstractmethod
    def tabulate(
        self,
        names: Sequence[str],
        files: Sequence[str],
        targets: np.ndarray,
        outputs: np.ndarray,
    ) -> dict[str, Table]:
        """Files of an evaluation: predictions.csv with a row for each example, and others.

        No name can make two columns collide.

        Args:
            names: Name of each output.
            files: Name of each example.
            targets: As `Examples.targets`.
            outputs: In the unit of the targets.
        """


def name_unjudged(names: Sequence[str], support: np.ndarray) -> dict[str, list[str]]:
    """The names without an example, for the figures; nothing where all have one."""
    unjudged = [name for name, number in zip(names, support, strict=True) if not number]
    return {"not_judged": unjudged} if unjudged else {}


def count_examples(figures: Mapping[str, Any]) -> str:
    """How many were judged, and which names had none among them, for a headline."""
    names = [printable(name) for name in figures.get("not_judged", [])]
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    unjudged = f"; not judged: {', '.join(names[:_NAMED])}{more}" if names else ""
    return f"{figures['examples']} examples{unjudged}"


def list_columns(
    names: Sequence[str], files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterator[list[str]]:
    """Rows of `file`, and of `true X` and `predicted X` for each name X."""
    yield ["file", *(f"{what} {name}" for what in ("true", "predicted") for name in names)]
    for file, target, row in zip(files, targets, outputs, strict=True):
        yield [file, *map(format_exactly, target), *map(format_exactly, row)]


def format_exactly(value: np.floating) -> str:
    """Text that reads back to the same number of this type."""
    return format(value.item(), ".9g") if value.dtype == np.float32 else repr(float(value))
