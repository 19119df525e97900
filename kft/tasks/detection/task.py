"""Task of detection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kft.config import TrainingConfig
from kft.tasks.base import ABSENT, BOXES, Task
from kft.tasks.loss_terms import refuse_weights
from kft.tasks.vectors import Boxes, Names, Targets, Vectors

if TYPE_CHECKING:
    from kft.tasks.detection.figures import BoxFigures
    from kft.tasks.detection.head import DetectionHead

CHOSEN_SCORE = 0.4
"""Score from which an answer is shown and counted as found; scores state expected overlaps."""
# Columns of a target: the class, then left, top, right and bottom.
_COLUMNS = 5
# Decimals of fractions in text: a tenth of a pixel in a picture of 100,000.
_DIGITS = 6


class Detection(Task):
    """Detection: the targets of an example are its boxes.

    They are float32 (examples, boxes, 5): index of the class, or -1 for padding, then left, top,
    right and bottom as fractions of the width and height of the whole, upright example.
    """

    name: ClassVar[str] = "detection"
    noun: ClassVar[str] = "class"
    nouns: ClassVar[str] = "box classes"
    reads_boxes: ClassVar[bool] = True
    companion: ClassVar[str | None] = BOXES
    settings: ClassVar[frozenset[str]] = frozenset({"class_weights"})
    head_settings: ClassVar[frozenset[str]] = frozenset()
    objective: ClassVar[tuple[str, Literal["min", "max"]]] = ("average_precision", "max")

    @property
    def head(self) -> type[DetectionHead]:
        """Head with a feature pyramid and an answer at each of its cells."""
        from kft.tasks.detection.head import DetectionHead

        return DetectionHead

    @property
    def figures(self) -> BoxFigures:
        """Average precision, by class and by size."""
        from kft.tasks.detection.figures import BoxFigures

        return BoxFigures()

    def parse(self, fields: Names | Vectors | Boxes) -> Targets:
        """Parse padded rows of boxes."""
        assert isinstance(fields, Boxes), "boxes come from sources of boxes"
        counts = np.bincount(fields.owners, minlength=fields.num_examples)
        targets = np.full((fields.num_examples, max(1, counts.max(initial=0)), _COLUMNS), ABSENT)
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        places = np.arange(len(fields.owners)) - starts
        targets[fields.owners, places, 0] = fields.codes
        targets[fields.owners, places, 1:] = fields.sides
        return Targets(self, fields.names, targets.astype(np.float32))

    def format(self, target: np.ndarray, names: Sequence[str]) -> str:
        """Format the boxes by ';', each as its class and its sides."""
        return ";".join(
            " ".join((names[int(row[0])], *(f"{side:.{_DIGITS}g}" for side in row[1:].tolist())))
            for row in present_boxes(target)
        )

    def summarise(self, target: np.ndarray, names: Sequence[str]) -> str:
        """Count the boxes of each class, such as '11 RBC, 1 WBC'."""
        numbers = np.bincount(present_boxes(target)[:, 0].astype(np.int64), minlength=len(names))
        counted = zip(numbers.tolist(), names, strict=True)
        return ", ".join(f"{number} {name}" for number, name in counted if number) or "no boxes"

    def find_members(self, targets: np.ndarray, num_names: int) -> list[np.ndarray]:
        """Find the positions of the examples with a box of each class, in order."""
        return [
            np.flatnonzero((targets[:, :, 0] == index).any(axis=1)) for index in range(num_names)
        ]

    def rearrange(self, targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
        """Convert class indices to the new order."""
        moved = targets.copy()
        codes = targets[:, :, 0].astype(np.int64)
        is_present = codes >= 0
        moved[:, :, 0] = np.where(is_present, places[np.where(is_present, codes, 0)], ABSENT)
        return moved

    def refuse(self, training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
        """Refuse weights of unknown classes."""
        yield from refuse_weights(training, names)

    def choose(self, values: Mapping[str, float]) -> list[str]:
        """Choose the classes with a box that is shown."""
        chosen = [name for name, value in values.items() if value >= CHOSEN_SCORE]
        return sorted(chosen, key=lambda name: -values[name])


def present_boxes(target: np.ndarray) -> np.ndarray:
    """Return the boxes of one example without padding (boxes, 5)."""
    found: np.ndarray = target[target[:, 0] >= 0]
    return found
