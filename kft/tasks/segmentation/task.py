"""Task of segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kft.config import HeadConfig, TrainingConfig
from kft.errors import DataError
from kft.figures import format_share
from kft.tasks.base import MASK, Task
from kft.tasks.loss_terms import refuse_weights
from kft.tasks.segmentation.shares import find_largest
from kft.tasks.vectors import Boxes, Names, Targets, Vectors, move_columns

if TYPE_CHECKING:
    from kft.tasks.classification.linear import ClassLoss
    from kft.tasks.segmentation.figures import MaskFigures
    from kft.tasks.segmentation.head import SegmentationHead


class Segmentation(Task):
    """Segmentation: the target of an example is a mask in a file.

    `Examples.targets` holds the number of pixels of each class, int64 (examples, classes).
    """

    name: ClassVar[str] = "segmentation"
    noun: ClassVar[str] = "class"
    nouns: ClassVar[str] = "mask classes"
    fewest_names: ClassVar[int] = 2
    settings: ClassVar[frozenset[str]] = frozenset(
        ("label_smoothing", "focal_gamma", "class_weights", "region_loss")
    )
    head_settings: ClassVar[frozenset[str]] = frozenset(("decoder", "dropout"))
    objective: ClassVar[tuple[str, Literal["min", "max"]]] = ("mean_iou", "max")
    answer_word: ClassVar[str] = "share of"
    companion: ClassVar[str | None] = MASK

    @property
    def head(self) -> type[SegmentationHead]:
        """Decoder over the feature maps of a backbone, with a softmax at each pixel."""
        from kft.tasks.segmentation.head import SegmentationHead

        return SegmentationHead

    @property
    def figures(self) -> MaskFigures:
        """Intersection over union of each class, and others."""
        from kft.tasks.segmentation.figures import MaskFigures

        return MaskFigures()

    @property
    def linear(self) -> ClassLoss:
        """Cross-entropy of the classes of pixels."""
        from kft.tasks.classification.linear import ClassLoss

        return ClassLoss()

    def is_solvable(self, head: HeadConfig, training: TrainingConfig) -> bool:
        """Tell whether the decoder is linear, and the loss a plain cross-entropy."""
        is_linear = head.decoder == "linear" and training.region_loss == "none"
        return is_linear and super().is_solvable(head, training)

    def parse(self, fields: Names | Vectors | Boxes) -> Targets:
        """Refuse fields, because masks are files.

        Raises:
            DataError: Always.
        """
        raise DataError(
            "data.target: 'mask' needs a file with the classes of each example: a folder "
            "`masks` beside `images`, a table with a column `mask`, or a COCO file."
        )

    def format(self, target: np.ndarray, names: Sequence[str]) -> str:
        """List the classes with their numbers of pixels, such as 'road=310;sky=90'."""
        return ";".join(
            f"{name}={count}" for name, count in zip(names, target.tolist(), strict=True) if count
        )

    def summarise(self, target: np.ndarray, names: Sequence[str]) -> str:
        """List the largest shares of classes, such as 'road 0.310;sky 0.090'."""
        largest = find_largest(target / max(target.sum(), 1), names)
        return ";".join(f"{name} {format_share(share)}" for name, share in largest.items())

    def are_equal(self, written: str, value: str) -> bool:
        """Compare numbers of pixels in any order of the classes."""
        return sorted(written.split(";")) == sorted(value.split(";"))

    def find_members(self, targets: np.ndarray, num_names: int) -> list[np.ndarray]:
        """Find the positions of the examples that show each class, in order."""
        return [np.flatnonzero(column) for column in (targets > 0).T]

    def rearrange(self, targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
        """Move the columns of the numbers of pixels to their new places."""
        return move_columns(targets, places, num_names)

    def refuse(self, training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
        """Refuse weights of unknown classes."""
        yield from refuse_weights(training, names)
