"""What the checks look at: every usable example as the gate saw it, with its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from kft.examples import Calibration, SplitName
from kft.findings import count
from kft.modalities import Modality
from kft.modalities.checked import Checked
from kft.tasks import Task


@dataclass(frozen=True)
class SeenExamples:
    """The usable examples of a data set, in the order of the source.

    Attributes:
        modality: What they are.
        checked: What is known of each, with measures.
        targets: As `Examples.targets`.
        task: What a target is.
        class_names: Name of each class, label or number, by index.
        splits: The split of each; None where nobody names one.
        calibration: By which they were measured; None where there is none.
    """

    modality: Modality
    checked: tuple[Checked, ...]
    targets: np.ndarray
    task: Task
    class_names: tuple[str, ...]
    splits: tuple[SplitName, ...] | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        assert len(self.checked) == len(self.targets)
        assert self.splits is None or len(self.splits) == len(self.targets)

    def __len__(self) -> int:
        return len(self.checked)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each example in its data set."""
        return tuple(each.name for each in self.checked)

    @property
    def calibrated(self) -> Any:
        """Value of the calibration, for a decoder."""
        return None if self.calibration is None else self.calibration.value

    @property
    def classes(self) -> np.ndarray | None:
        """Class of each, int64 (examples,); None where targets are not classes."""
        return self.targets if self.task.has_classes else None

    def label(self, index: int) -> str:
        """The target of an example as people read it."""
        return self.task.format(self.targets[index], self.class_names)

    def count(self, number: int) -> str:
        """Such as '1 picture' or '1,234 pictures'."""
        return count(number, self.modality.noun, self.modality.nouns)

    def take(self, places: Sequence[int]) -> SeenExamples:
        """The examples at these positions, in that order."""
        return replace(
            self,
            checked=tuple(self.checked[i] for i in places),
            targets=self.targets[np.asarray(places, np.int64)],
            splits=self.splits and tuple(self.splits[i] for i in places),
        )

    def first_of_each(self, alike: Sequence[Sequence[int]]) -> np.ndarray:
        """Positions without repetitions: of examples that look the same only the first.

        Args:
            alike: Sets of positions that look the same.
        """
        repeated = {place for places in alike for place in sorted(places)[1:]}
        return np.array([i for i in range(len(self)) if i not in repeated], np.int64)
