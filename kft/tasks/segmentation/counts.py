"""Counts of the pixels of an answer, from which every figure of masks is computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kft.tasks.base import VOID
from kft.tasks.figures import LEAST_PROBABILITY

# Two boundaries agree if they are no further apart than this share of the diagonal.
# Source: Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013.
_BOUNDARY_TOLERANCE = 0.0075
# Columns before the confusion: mean loss, labelled pixels, and four counts of boundaries.
_NUM_BEFORE = 6


@dataclass(frozen=True)
class PixelCounts:
    """Counts of the pixels of several answers.

    Attributes:
        losses: Mean cross-entropy over the labelled pixels of each example (examples,).
        labelled: Labelled pixels of each example (examples,).
        boundaries: Pixels of answered boundaries near true ones, of answered boundaries, of true
            ones near answered ones, and of true ones (examples, 4).
        confusion: Pixels by true and answered class (examples, classes, classes).
    """

    losses: np.ndarray
    labelled: np.ndarray
    boundaries: np.ndarray
    confusion: np.ndarray

    @classmethod
    def unpack(cls, rows: np.ndarray) -> PixelCounts:
        """Read the rows of `count_pixels`."""
        num_classes = round((rows.shape[1] - _NUM_BEFORE) ** 0.5)
        return cls(
            rows[:, 0],
            rows[:, 1],
            rows[:, 2:_NUM_BEFORE],
            rows[:, _NUM_BEFORE:].reshape(len(rows), num_classes, num_classes),
        )

    @property
    def true_shares(self) -> np.ndarray:
        """Share of the labelled pixels of each class, (examples, classes)."""
        return self.confusion.sum(axis=2) / np.maximum(self.labelled, 1)[:, np.newaxis]

    @property
    def answered_shares(self) -> np.ndarray:
        """Share of the labelled pixels that are answered as each class, (examples, classes)."""
        return self.confusion.sum(axis=1) / np.maximum(self.labelled, 1)[:, np.newaxis]

    @property
    def accuracies(self) -> np.ndarray:
        """Share of the labelled pixels that are right, (examples,)."""
        right = np.trace(self.confusion, axis1=1, axis2=2)
        shares: np.ndarray = right / np.maximum(self.labelled, 1)
        return shares


def count_pixels(probabilities: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Count the pixels of a batch, float64 (batch, columns); see `PixelCounts`.

    Args:
        probabilities: Probabilities (batch, height, width, classes).
        masks: Masks (batch, height, width) of class indices and `VOID`.
    """
    return np.stack([_count(*each) for each in zip(probabilities, masks, strict=True)])


def _count(probabilities: np.ndarray, mask: np.ndarray) -> np.ndarray:
    num_classes = probabilities.shape[-1]
    answer = probabilities.argmax(axis=-1)
    is_labelled = mask != VOID
    true = mask[is_labelled].astype(np.int64)
    own = probabilities[is_labelled][np.arange(len(true)), true]
    losses = -np.log(np.maximum(own.astype(np.float64), LEAST_PROBABILITY))
    pairs = np.bincount(true * num_classes + answer[is_labelled], minlength=num_classes**2)
    return np.concatenate(
        [
            [losses.mean() if len(losses) else 0.0, len(true)],
            _count_boundaries(mask, answer, is_labelled),
            pairs,
        ]
    )


def _count_boundaries(mask: np.ndarray, answer: np.ndarray, is_labelled: np.ndarray) -> list[int]:
    from scipy import ndimage

    reach = _BOUNDARY_TOLERANCE * float(np.hypot(*mask.shape))
    true, answered = _find_boundary(mask, is_labelled), _find_boundary(answer, is_labelled)
    if not true.any() or not answered.any():
        return [0, int(answered.sum()), 0, int(true.sum())]
    near_true, near_answered = (
        ndimage.distance_transform_edt(~boundary) <= reach for boundary in (true, answered)
    )
    return [
        int((answered & near_true).sum()),
        int(answered.sum()),
        int((true & near_answered).sum()),
        int(true.sum()),
    ]


def _find_boundary(classes: np.ndarray, is_labelled: np.ndarray) -> np.ndarray:
    """Find the pixels whose right or lower neighbour has another class, and both are labelled."""
    boundary = np.zeros(classes.shape, bool)
    for axis in (0, 1):
        here, there = (slice(None, -1), slice(1, None))
        one = (here, slice(None)) if axis == 0 else (slice(None), here)
        other = (there, slice(None)) if axis == 0 else (slice(None), there)
        boundary[one] |= (classes[one] != classes[other]) & is_labelled[one] & is_labelled[other]
    return boundary
