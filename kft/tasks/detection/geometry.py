"""Overlaps of boxes, in a graph; sides are left, top, right, bottom in fractions.

Overlaps do not change if width and height are scaled separately, so fractions give those of pixels.
"""

from __future__ import annotations

from typing import Any

from keras import ops

# Keeps quotients finite for boxes without area.
_LEAST = 1e-9


def pairwise_overlaps(boxes: Any, others: Any) -> Any:
    """Compute the intersection over union of each box with each other one.

    Args:
        boxes: Boxes (…, n, 4).
        others: Boxes (…, m, 4).

    Returns:
        Overlaps (…, n, m), 0 for boxes without area.
    """
    overlap, _ = _measure(ops.expand_dims(boxes, -2), ops.expand_dims(others, -3))
    return overlap


def overlaps(boxes: Any, others: Any) -> Any:
    """Compute the intersection over union of pairs of boxes, both (…, 4)."""
    return _measure(boxes, others)[0]


def generalised_overlaps(boxes: Any, others: Any) -> Any:
    """Compute the generalised intersection over union of pairs of boxes, both (…, 4).

    It lies in [-1, 1], and tells boxes that do not overlap apart by their distance.

    Source: Rezatofighi et al., arXiv:1902.09630.
    """
    overlap, union = _measure(boxes, others)
    sides = ops.maximum(boxes[..., 2:], others[..., 2:]) - ops.minimum(
        boxes[..., :2], others[..., :2]
    )
    hull = sides[..., 0] * sides[..., 1]
    return overlap - (hull - union) / ops.maximum(hull, _LEAST)


def _measure(boxes: Any, others: Any) -> tuple[Any, Any]:
    """Compute intersection over union, and union."""
    sides = ops.minimum(boxes[..., 2:], others[..., 2:]) - ops.maximum(
        boxes[..., :2], others[..., :2]
    )
    sides = ops.maximum(sides, 0.0)
    common = sides[..., 0] * sides[..., 1]
    union = _area(boxes) + _area(others) - common
    return common / ops.maximum(union, _LEAST), union


def _area(boxes: Any) -> Any:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
