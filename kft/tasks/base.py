"""Base class of tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kft.config import HeadConfig, TrainingConfig
from kft.figures import format_share
from kft.task_names import target_word

if TYPE_CHECKING:
    from kft.linear import LinearLoss
    from kft.tasks.figures import Figures
    from kft.tasks.head import Head
    from kft.tasks.vectors import Boxes, Names, Targets, Vectors

# Settings of `training` that only some tasks obey. Each task names those that it obeys.
TASK_SETTINGS = (
    "label_smoothing",
    "focal_gamma",
    "region_loss",
    "class_weights",
    "sampling",
    "logit_adjustment",
    "mixup",
    "cutmix",
)


# Kinds of targets that move with their example: names of the elements that hold them.
MASK = "target_mask"
"""Class of each position, uint8 (height, width); `VOID` where there is none."""
BOXES = "target_boxes"
"""Objects, float32 (boxes, 5): class, left, top, right, bottom in fractions of the example.

Rows without an object have the class `ABSENT`.
"""
COMPANIONS = (MASK, BOXES)
VOID = 255
ABSENT = -1.0
# Marks of boxes in a drawing: right answers, true boxes without an answer, and wrong answers.
FOUND, MISSED, WRONG = 0.0, 1.0, 2.0


@dataclass(frozen=True)
class Task(ABC):
    """Definition of targets, in words and arrays; instances of one class are equal.

    Targets are an array with one row per example: int64 indices (examples,) if each target is one
    class, floats (examples, boxes, 5) for boxes, else floats (examples, names). The columns of an
    answer have names: those of classes, labels or numbers.

    Attributes:
        name: Registered name, also used in `head.name`.
        noun: Noun for what a name stands for, such as 'class'.
        nouns: Plural of the noun.
        has_classes: Whether each example has exactly one of the names, so that its target is the
            index of the name.
        is_stratified: Whether an example either has a name or not, so that names are counted,
            spread evenly over splits, and required in each split.
        fewest_names: Smallest number of names that can be learned.
        reads_amounts: Whether any number may be a target. Otherwise values are 0 and 1, and words
            such as `true` stand for them.
        reads_boxes: Whether targets are boxes, which only sources of boxes give.
        settings: Settings from `TASK_SETTINGS` that the task obeys; others are refused.
        head_settings: Settings of `head` that its head obeys; others are refused.
        objective: Figure that a search optimises, and whether to minimise or maximise it.
        answer_word: Word for one value of an answer, for the columns of a table.
        companion: Element of `COMPANIONS` that holds the target beside the decoded example, so
            that it is cropped, turned and mirrored with it; None for targets that do not move.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    nouns: ClassVar[str]
    has_classes: ClassVar[bool] = False
    is_stratified: ClassVar[bool] = True
    fewest_names: ClassVar[int] = 1
    reads_amounts: ClassVar[bool] = False
    reads_boxes: ClassVar[bool] = False
    settings: ClassVar[frozenset[str]] = frozenset()
    head_settings: ClassVar[frozenset[str]] = frozenset(("pooling", "hidden", "dropout"))
    objective: ClassVar[tuple[str, Literal["min", "max"]]]
    answer_word: ClassVar[str] = "probability"
    companion: ClassVar[str | None] = None

    @property
    def word(self) -> str:
        """Word for the targets in `data.target`."""
        return target_word(self.name)

    @property
    @abstractmethod
    def head(self) -> type[Head]:
        """Class of the head, with layers, loss and activation; loads Keras."""

    @property
    @abstractmethod
    def figures(self) -> Figures:
        """Losses, figures and tables of answers."""

    @property
    def linear(self) -> LinearLoss | None:
        """Convex loss of a linear head, if the task has one."""
        return None

    # Reading a source

    def reads_names(self, num_columns: int) -> bool:
        """Tell whether this number of columns in a table holds names rather than values.

        Class folders and records with one word count as one column of names.
        """
        return False

    def find_value_problem(self, values: Sequence[float], names: Sequence[str]) -> str | None:
        """Find the reason why the values of one example are not a target; None if they are.

        Args:
            values: Finite values of one example.
            names: Column name of each value.
        """
        return None

    @abstractmethod
    def parse(self, fields: Names | Vectors | Boxes) -> Targets:
        """Parse the targets of all examples.

        Args:
            fields: `Boxes` if `reads_boxes`, `Names` if `reads_names` is true, else `Vectors`
                without the examples for which `find_value_problem` found a problem.

        Raises:
            DataError: The fields are not targets of this task.
        """

    # Words for targets

    @abstractmethod
    def format(self, target: np.ndarray, names: Sequence[str]) -> str:
        """Format a target for people and for splits.csv."""

    def summarise(self, target: np.ndarray, names: Sequence[str]) -> str:
        """Format a target in a few words for people; by default see `format`."""
        return self.format(target, names)

    def are_equal(self, written: str, value: str) -> bool:
        """Tell whether two results of `format` mean the same target, across versions of kft."""
        return written == value

    # Examples by name

    def find_members(self, targets: np.ndarray, num_names: int) -> list[np.ndarray]:
        """Find the positions of the examples of each name; empty if the task is not stratified."""
        return []

    def count(self, targets: np.ndarray, num_names: int) -> np.ndarray:
        """Count the examples of each name, int64 (names,); empty if the task is not stratified."""
        return np.array([len(found) for found in self.find_members(targets, num_names)], np.int64)

    def arrange(self, targets: np.ndarray, names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
        """Group examples for a page: a title and positions per group."""
        return list(zip(names, self.find_members(targets, len(names)), strict=True))

    @abstractmethod
    def rearrange(self, targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
        """Convert targets to another order of names.

        Args:
            targets: Targets in the present order.
            places: New place of each name, int64 (names,).
            num_names: Number of places.
        """

    # Training

    def refuse(self, training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
        """Find settings that contradict targets with these names, each with a remedy."""
        yield from ()

    def is_solvable(self, head: HeadConfig, training: TrainingConfig) -> bool:
        """Tell whether the head has one layer, and its loss an optimum that can be solved for."""
        is_one_layer = not head.hidden and not head.dropout
        # The focal loss is not convex.
        return self.linear is not None and is_one_layer and not training.focal_gamma

    # Answers

    def choose(self, values: Mapping[str, float]) -> list[str] | None:
        """Choose the names of an answer, best first; None if the answer has no names to choose.

        Args:
            values: Probability by name.
        """
        return None

    def format_value(self, value: float | None, *, spread: float | None = None) -> str:
        """Format a value of an answer, or a figure of one name.

        Args:
            value: Value; None if there is none.
            spread: Typical distance between such values, if known.
        """
        return format_share(value)
