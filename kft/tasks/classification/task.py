"""One class of several: what its targets are and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kft.config import TrainingConfig
from kft.tasks.base import TASK_SETTINGS, Task
from kft.tasks.loss_terms import refuse_weights
from kft.tasks.vectors import Names, Targets, Vectors, find_flag_problem, find_one_hot_problem

if TYPE_CHECKING:
    from kft.tasks.classification.figures import ClassFigures
    from kft.tasks.classification.head import ClassificationHead
    from kft.tasks.classification.linear import ClassLoss


class Classification(Task):
    """Each example has one of several classes; its target is the index of the class."""

    name: ClassVar[str] = "classification"
    noun: ClassVar[str] = "class"
    nouns: ClassVar[str] = "classes"
    has_classes: ClassVar[bool] = True
    fewest_names: ClassVar[int] = 2
    settings: ClassVar[frozenset[str]] = frozenset(TASK_SETTINGS)
    objective: ClassVar[tuple[str, Literal["min", "max"]]] = ("accuracy", "max")

    @property
    def head(self) -> type[ClassificationHead]:
        """Softmax and cross-entropy."""
        from kft.tasks.classification.head import ClassificationHead

        return ClassificationHead

    @property
    def figures(self) -> ClassFigures:
        """Accuracy, and precision, recall and F1 of each class."""
        from kft.tasks.classification.figures import ClassFigures

        return ClassFigures()

    @property
    def linear(self) -> ClassLoss:
        """Cross-entropy."""
        from kft.tasks.classification.linear import ClassLoss

        return ClassLoss()

    def reads_names(self, num_columns: int) -> bool:
        """One column names the class; several are one-hot."""
        return num_columns == 1

    def find_value_problem(self, values: Sequence[float], names: Sequence[str]) -> str | None:
        """Exactly one of one-hot values is 1, the others are 0."""
        return find_flag_problem(values, names) or find_one_hot_problem(values, names)

    def parse(self, fields: Names | Vectors) -> Targets:
        """The index of each example's class."""
        if isinstance(fields, Names):
            return Targets(self, fields.names, fields.codes)
        return Targets(self, fields.names, fields.values.argmax(axis=1))

    def format(self, target: np.ndarray, names: Sequence[str]) -> str:
        """The name of the class."""
        return names[int(target)]

    def find_members(self, targets: np.ndarray, num_names: int) -> list[np.ndarray]:
        """Positions of the examples of each class, in order."""
        order = np.argsort(targets, kind="stable")
        ends = np.cumsum(np.bincount(targets, minlength=num_names))
        return np.split(order, ends[:-1])

    def rearrange(self, targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
        """The new index of each class."""
        moved: np.ndarray = places[targets]
        return moved

    def refuse(self, training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
        """Mixing where there is one class, and weights of other classes."""
        if len(names) < self.fewest_names:
            for setting in ("mixup", "cutmix"):
                if getattr(training, setting):
                    yield (
                        f"training.{setting}: blends examples of different classes, but there is "
                        f"one class, {names[0]!r}. Remove it, or give examples of another class."
                    )
        yield from refuse_weights(training, names)

    def choose(self, values: Mapping[str, float]) -> list[str]:
        """The most probable class."""
        return [max(values, key=values.__getitem__)]
