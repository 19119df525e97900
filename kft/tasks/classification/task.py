"""Task of classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kft.config import TrainingConfig
from kft.tasks.base import TASK_SETTINGS, Task
from kft.tasks.loss_terms import refuse_weights
from kft.tasks.vectors import (
    Boxes,
    Names,
    Targets,
    Vectors,
    find_flag_problem,
    find_one_hot_problem,
)

if TYPE_CHECKING:
    from kft.tasks.classification.figures import ClassFigures
    from kft.tasks.classification.head import ClassificationHead
    from kft.tasks.classification.linear import ClassLoss


class Classification(Task):
    """Classification: the target of an example is the index of its class."""

    name: ClassVar[str] = "classification"
    noun: ClassVar[str] = "class"
    nouns: ClassVar[str] = "classes"
    has_classes: ClassVar[bool] = True
    fewest_names: ClassVar[int] = 2
    settings: ClassVar[frozenset[str]] = frozenset(TASK_SETTINGS)
    objective: ClassVar[tuple[str, Literal["min", "max"]]] = ("accuracy", "max")

    @property
    def head(self) -> type[ClassificationHead]:
        """Head with softmax and cross-entropy."""
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
        """Tell whether there is one column, which names the class; several are one-hot."""
        return num_columns == 1

    def find_value_problem(self, values: Sequence[float], names: Sequence[str]) -> str | None:
        """Find the reason why values are not one-hot."""
        return find_flag_problem(values, names) or find_one_hot_problem(values, names)

    def parse(self, fields: Names | Vectors | Boxes) -> Targets:
        """Parse the index of each example's class."""
        if isinstance(fields, Names):
            return Targets(self, fields.names, fields.codes)
        assert isinstance(fields, Vectors), "classes are names or values, not boxes"
        return Targets(self, fields.names, fields.values.argmax(axis=1))

    def format(self, target: np.ndarray, names: Sequence[str]) -> str:
        """Return the name of the class."""
        return names[int(target)]

    def find_members(self, targets: np.ndarray, num_names: int) -> list[np.ndarray]:
        """Find the positions of the examples of each class, in order."""
        order = np.argsort(targets, kind="stable")
        ends = np.cumsum(np.bincount(targets, minlength=num_names))
        return np.split(order, ends[:-1])

    def rearrange(self, targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
        """Convert class indices to the new order."""
        moved: np.ndarray = places[targets]
        return moved

    def refuse(self, training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
        """Refuse mixing of a single class, and weights of unknown classes."""
        if len(names) < self.fewest_names:
            for setting in ("mixup", "cutmix"):
                if getattr(training, setting):
                    yield (
                        f"training.{setting}: mixes examples of different classes, but there is "
                        f"one class, {names[0]!r}. Remove it, or add examples of another class."
                    )
        yield from refuse_weights(training, names)

    def choose(self, values: Mapping[str, float]) -> list[str]:
        """Choose the most probable class."""
        return [max(values, key=values.__getitem__)]
