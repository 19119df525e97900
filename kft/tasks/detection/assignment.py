"""Assignment of boxes to the points that shall answer them, in a graph."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from kft.tasks.detection.geometry import pairwise_overlaps
from kft.tasks.detection.points import SIZE_IN_CELLS

# Distance in cells up to which a point is near: 3 x 3 points of each map.
_NEAR = 1.5


class Assigned(NamedTuple):
    """Box that each point shall answer.

    Attributes:
        is_positive: Whether a point has a box, bool (batch, points).
        codes: Class of its box, int32 (batch, points); arbitrary without a box.
        boxes: Its box (batch, points, 4); arbitrary without a box.
    """

    is_positive: Any
    codes: Any
    boxes: Any


def assign(targets: Any, standard: Any) -> Assigned:
    """Assign to each box the points near its centre whose standard boxes fit it best.

    The candidates of a box are 3 x 3 points of each map. Their overlaps with the box decide how
    well a point must fit: at least the mean and one deviation of them. So large boxes get points
    of coarse maps, without a rule about sizes. A point that fits several boxes answers the best.

    Args:
        targets: Class and sides of the boxes in fractions of the frame (batch, boxes, 5); the
            class is -1 for padding.
        standard: Standard boxes of the points (batch, points, 4).

    Source: Zhang et al., Adaptive Training Sample Selection, arXiv:1912.02424. A box smaller than
    a cell counts as large as one, so that it is not left without a point.
    """
    codes, boxes = targets[..., 0], targets[..., 1:]
    cells = ops.expand_dims((standard[..., 2:] - standard[..., :2]) / SIZE_IN_CELLS, 1)
    points = ops.expand_dims((standard[..., :2] + standard[..., 2:]) / 2, 1)
    centres = ops.expand_dims((boxes[..., :2] + boxes[..., 2:]) / 2, 2)
    halves = ops.expand_dims((boxes[..., 2:] - boxes[..., :2]) / 2, 2)
    distances = ops.abs(centres - points)
    is_near = ops.all(distances <= _NEAR * cells, axis=-1)
    is_inside = ops.all(distances <= ops.maximum(halves, cells / 2), axis=-1)
    fits = pairwise_overlaps(boxes, standard)
    is_candidate = is_near & is_inside & ops.expand_dims(codes >= 0, -1)
    # The mean and a deviation may exceed all fits, if most of them are equally good.
    best_fit = ops.max(ops.where(is_candidate, fits, 0.0), axis=-1, keepdims=True)
    least = ops.minimum(_find_least_fit(fits, ops.cast(is_near, fits.dtype)), best_fit)
    is_chosen = is_candidate & (fits >= least)
    ranked = ops.where(is_chosen, fits, -1.0)
    best = ops.argmax(ranked, axis=1)
    return Assigned(
        ops.max(ranked, axis=1) >= 0.0,
        ops.cast(ops.take_along_axis(codes, best, axis=1), "int32"),
        ops.take_along_axis(boxes, ops.expand_dims(best, -1), axis=1),
    )


def _find_least_fit(fits: Any, weights: Any) -> Any:
    """Compute mean and deviation over the candidates of each box, added (batch, boxes, 1)."""
    count = ops.maximum(ops.sum(weights, axis=-1, keepdims=True), 1.0)
    mean = ops.sum(fits * weights, axis=-1, keepdims=True) / count
    variance = ops.sum(ops.square(fits - mean) * weights, axis=-1, keepdims=True) / count
    return mean + ops.sqrt(variance)
