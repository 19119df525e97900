"""The values that this room hands on: a `Task`, and what it reads and gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kft.config import TrainingConfig
from kft.figures import format_share
from kft.task_names import target_word

if TYPE_CHECKING:
    from kft.linear import LinearLoss
    from kft.tasks.figures import Figures
    from kft.tasks.head import Head
    from kft.tasks.vectors import Names, Targets, Vectors

# Settings of `training` that only some tasks obey; a task names those that it does.
TASK_SETTINGS = (
    "label_smoothing",
    "focal_gamma",
    "class_weights",
    "sampling",
    "logit_adjustment",
    "mixup",
    "cutmix",
)


@dataclass(frozen=True)
class Task(ABC):
    """What a target is, in words and arrays; equal to another of its class.

    Targets are an array with a row for each example: int64 (examples,) indices where a target
    is one class, else float (examples, names). What a user calls the columns of the answer are
    its names: of classes, labels or numbers.

    Attributes:
        name: As it is registered, and as `head.name` says it.
        noun: What one name stands for: 'class'.
        nouns: The same of several.
        has_classes: Whether each example has exactly one of the names, which exclude each other.
            Its target is then the index of the name.
        is_stratified: Whether some examples have a name and others do not, so that names are
            counted, spread evenly over splits, and needed in each of them.
        fewest_names: Fewer cannot be learned.
        reads_amounts: Whether any number may be a target. Otherwise values are 0 and 1, and words
            such as `true` stand for them.
        settings: Those of `TASK_SETTINGS` that it obeys; others are refused.
        objective: The figure that a search is judged by, and whether more or less is better.
        answer_word: What one value of an answer is, for the columns of a table.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    nouns: ClassVar[str]
    has_classes: ClassVar[bool] = False
    is_stratified: ClassVar[bool] = True
    fewest_names: ClassVar[int] = 1
    reads_amounts: ClassVar[bool] = False
    settings: ClassVar[frozenset[str]] = frozenset()
    objective: ClassVar[tuple[str, Literal["min", "max"]]]
    answer_word: ClassVar[str] = "probability"

    @property
    def word(self) -> str:
        """What `data.target` calls its targets."""
        return target_word(self.name)

    @property
    @abstractmethod
    def head(self) -> type[Head]:
        """Layers, loss and activation; loads Keras."""

    @property
    @abstractmethod
    def figures(self) -> Figures:
        """How answers are judged."""

    @property
    def linear(self) -> LinearLoss | None:
        """The loss of a linear head that can be solved for, if there is one."""
        return None

    # Reading a source

    def reads_names(self, num_columns: int) -> bool:
        """Whether so many columns of a table hold names, rather than values.

        Class folders and records of one word are one column of names.
        """
        return False

    def find_value_problem(self, values: Sequence[float], names: Sequence[str]) -> str | None:
        """Why the values of one example are not a target; None where they are.

        Args:
            values: Of one example, finite.
            names: Of each value: a column.
        """
        return None

    @abstractmethod
    def parse(self, fields: Names | Vectors) -> Targets:
        """The targets of all examples.

        Args:
            fields: `Names` where `reads_names` says so, else `Vectors` without the examples of
                which `find_value_problem` told.

        Raises:
            DataError: They are not targets of this task.
        """

    # Words for targets

    @abstractmethod
    def format(self, target: np.ndarray, names: Sequence[str]) -> str:
        """A target as people read it, and as splits.csv holds it."""

    def are_equal(self, written: str, value: str) -> bool:
        """Whether two texts of `format` are of one target, such as of an earlier kft."""
        return written == value

    # Which example has what

    def find_members(self, targets: np.ndarray, num_names: int) -> list[np.ndarray]:
        """Positions of the examples that have each name; without names to have, no list at all."""
        return []

    def count(self, targets: np.ndarray, num_names: int) -> np.ndarray:
        """How many examples have each name, int64 (names,); empty without names to have."""
        return np.array([len(found) for found in self.find_members(targets, num_names)], np.int64)

    def arrange(self, targets: np.ndarray, names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
        """Groups in which a page shows examples: title and positions, by name."""
        return list(zip(names, self.find_members(targets, len(names)), strict=True))

    @abstractmethod
    def rearrange(self, targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
        """Targets in another order of names.

        Args:
            targets: As they are.
            places: int64 (names,): the new place of each name.
            num_names: How many places there are.
        """

    # Training

    def refuse(self, training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
        """Sentences: which settings contradict targets of these names, and what to do."""
        yield from ()

    def is_solvable(self, training: TrainingConfig) -> bool:
        """Whether the loss of a head of one layer has an optimum that can be solved for."""
        # The focal loss is not convex.
        return self.linear is not None and not training.focal_gamma

    # Answers

    def choose(self, values: Mapping[str, float]) -> list[str] | None:
        """The names that an answer chooses, the best first; None where every value is its own.

        Args:
            values: Name -> probability.
        """
        return None

    def format_value(self, value: float | None, *, spread: float | None = None) -> str:
        """A value of an answer, or a figure of one name, as people read it.

        Args:
            value: None where there is none.
            spread: How far such values lie apart, where that is known.
        """
        return format_share(value)
