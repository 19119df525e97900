"""Task of multilabel classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kft.config import HeadConfig, TrainingConfig
from kft.tasks.base import Task
from kft.tasks.loss_terms import refuse_weights
from kft.tasks.vectors import Boxes, Names, Targets, Vectors, find_flag_problem, move_columns

if TYPE_CHECKING:
    from kft.tasks.multilabel.figures import LabelFigures
    from kft.tasks.multilabel.head import MultilabelHead
    from kft.tasks.multilabel.linear import LabelLoss

# A label belongs to the answer if its probability is above this.
THRESHOLD = 0.5


class Multilabel(Task):
    """Multilabel classification: the target of an example is a row of 0 and 1."""

    name: ClassVar[str] = "multilabel"
    noun: ClassVar[str] = "label"
    nouns: ClassVar[str] = "labels"
    settings: ClassVar[frozenset[str]] = frozenset(
        ("label_smoothing", "focal_gamma", "class_weights", "mixup", "cutmix")
    )
    objective: ClassVar[tuple[str, Literal["min", "max"]]] = ("accuracy", "max")

    @property
    def head(self) -> type[MultilabelHead]:
        """Head with a sigmoid and binary cross-entropy for each label."""
        from kft.tasks.multilabel.head import MultilabelHead

        return MultilabelHead

    @property
    def figures(self) -> LabelFigures:
        """Accuracy over all labels, exact matches, and the figures of each label."""
        from kft.tasks.multilabel.figures import LabelFigures

        return LabelFigures()

    @property
    def linear(self) -> LabelLoss:
        """Sum of binary cross-entropies."""
        from kft.tasks.multilabel.linear import LabelLoss

        return LabelLoss()

    def find_value_problem(self, values: Sequence[float], names: Sequence[str]) -> str | None:
        """Find the reason why values are not all 0 or 1."""
        return find_flag_problem(values, names)

    def parse(self, fields: Names | Vectors | Boxes) -> Targets:
        """Parse float32 rows of 0 and 1."""
        assert isinstance(fields, Vectors), "labels are values, not names"
        return Targets(self, fields.names, fields.values.astype(np.float32))

    def format(self, target: np.ndarray, names: Sequence[str]) -> str:
        """Join the names of the present labels by ';'."""
        return ";".join(name for name, on in zip(names, target, strict=True) if on > 0.5)

    def are_equal(self, written: str, value: str) -> bool:
        """Compare labels in any order, since the columns of a table may be reordered."""
        return sorted(written.split(";")) == sorted(value.split(";"))

    def find_members(self, targets: np.ndarray, num_names: int) -> list[np.ndarray]:
        """Find the positions of the examples with each label, in order."""
        return [np.flatnonzero(column) for column in (targets > 0.5).T]

    def rearrange(self, targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
        """Move the columns to their new places."""
        return move_columns(targets, places, num_names)

    def refuse(self, training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
        """Refuse weights of unknown labels."""
        yield from refuse_weights(training, names)

    def is_solvable(self, head: HeadConfig, training: TrainingConfig) -> bool:
        """Tell whether the loss can be solved, which excludes weights on one side of each label."""
        return super().is_solvable(head, training) and training.class_weights == "none"

    def choose(self, values: Mapping[str, float]) -> list[str]:
        """Choose the labels above one half, most probable first."""
        chosen = [name for name, value in values.items() if value > THRESHOLD]
        return sorted(chosen, key=lambda name: -values[name])
