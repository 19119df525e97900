"""What the checks look at: every usable picture as the gate saw it, with its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kft.examples import Depth, SplitName
from kft.modalities.image.inspection import Inspection
from kft.tasks import Task


@dataclass(frozen=True)
class Pictures:
    """The usable pictures of a data set, in the order of the source.

    Attributes:
        inspections: One of each.
        targets: As `Examples.targets`.
        task: What a target is.
        class_names: Name of each class, label or number, by index.
        splits: The split of each; None where nobody names one.
        depth: How those of more than 8 bits are shown, and were measured; None where there are
            none.
    """

    inspections: tuple[Inspection, ...]
    targets: np.ndarray
    task: Task
    class_names: tuple[str, ...]
    splits: tuple[SplitName, ...] | None = None
    depth: Depth | None = None

    def __post_init__(self) -> None:
        assert len(self.inspections) == len(self.targets)
        assert self.splits is None or len(self.splits) == len(self.targets)

    def __len__(self) -> int:
        return len(self.inspections)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each picture in its data set."""
        return tuple(inspection.name for inspection in self.inspections)

    @property
    def depth_bits(self) -> int | None:
        """Bits of the depth, for a decoder."""
        return None if self.depth is None else self.depth.bits

    @property
    def classes(self) -> np.ndarray | None:
        """Class of each, int64 (pictures,); None where targets are no classes."""
        return self.targets if self.task.has_classes else None

    @cached_property
    def shown_sizes(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each in pixels, turned upright."""
        return tuple(
            # Orientations from 5 on lie on their side.
            (each.height, each.width) if each.orientation >= 5 else (each.width, each.height)
            for each in self.inspections
        )

    def label(self, index: int) -> str:
        """The target of a picture as people read it."""
        return self.task.format(self.targets[index], self.class_names)

    def column(self, attribute: str) -> np.ndarray:
        """One number, or a few, of each inspection: float64 (pictures,) or (pictures, …)."""
        values = [getattr(inspection, attribute) for inspection in self.inspections]
        return np.asarray(values, np.float64)

    def take(self, places: Sequence[int]) -> Pictures:
        """The pictures at these positions, in that order."""
        return replace(
            self,
            inspections=tuple(self.inspections[i] for i in places),
            targets=self.targets[np.asarray(places, np.int64)],
            splits=self.splits and tuple(self.splits[i] for i in places),
        )

    def first_of_each(self, alike: Sequence[Sequence[int]]) -> np.ndarray:
        """Positions without repetitions: of pictures that look the same only the first.

        Args:
            alike: Sets of positions that look the same.
        """
        repeated = {place for places in alike for place in sorted(places)[1:]}
        return np.array([i for i in range(len(self)) if i not in repeated], np.int64)
