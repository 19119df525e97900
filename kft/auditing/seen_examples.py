"""Input of the checks: every usable example with its file check and label."""

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
    """Usable examples of a data set, in the order of the source.

    Attributes:
        modality: Modality of the examples.
        checked: Result of the file check of each, with measures.
        targets: Targets; see `Examples.targets`.
        task: Task of the targets.
        class_names: Name of each class, label or number, by index.
        splits: Split of each; None if there are no splits.
        calibration: Calibration of the measures; None if the modality has none.
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
        """Class of each example, int64 (examples,); None if targets are not classes."""
        return self.targets if self.task.has_classes else None

    def label(self, index: int) -> str:
        """Format the target of an example."""
        return self.task.format(self.targets[index], self.class_names)

    def count(self, number: int) -> str:
        """Format a number of examples, such as '1 picture' or '1,234 pictures'."""
        return count(number, self.modality.noun, self.modality.nouns)

    def take(self, places: Sequence[int]) -> SeenExamples:
        """Select the examples at these indices, in that order."""
        return replace(
            self,
            checked=tuple(self.checked[i] for i in places),
            targets=self.targets[np.asarray(places, np.int64)],
            splits=self.splits and tuple(self.splits[i] for i in places),
        )

    def first_of_each(self, alike: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the indices of examples without near duplicates, of which the first remains.

        Args:
            alike: Sets of indices that look the same.
        """
        repeated = {place for places in alike for place in sorted(places)[1:]}
        return np.array([i for i in range(len(self)) if i not in repeated], np.int64)
