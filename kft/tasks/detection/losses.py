"""Losses of detection: focal loss of the classes, generalised overlap of the boxes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kft.tasks.detection.assignment import assign
from kft.tasks.detection.geometry import generalised_overlaps, overlaps
from kft.tasks.detection.points import split_logits

# Weight of the loss of boxes, and exponent of the focal factor, as in the sources.
_BOX_WEIGHT = 2.0
_GAMMA = 2.0


class DetectionLoss(keras.losses.Loss):
    """Loss of the answers at all points, for each example.

    A point that shall answer a box learns, for the class of the box, how well its own box overlaps
    it; all other points and classes learn 0. The loss of a probability p for such a quality q is::

        |q - p|**2 * cross-entropy(q, p)

    summed over points and classes; that of a box is 1 less its generalised overlap. Both are
    divided by the number of points that have a box, so that each example counts alike.

    Args:
        class_weights: Factor on the loss of the points of each class; empty for 1.

    Source: Li et al., Generalized Focal Loss, arXiv:2006.04388; Rezatofighi et al.,
    Generalized Intersection over Union, arXiv:1902.09630.
    """

    def __init__(self, class_weights: tuple[float, ...] = ()) -> None:
        super().__init__(name="detection_loss", dtype="float32")
        self._class_weights = class_weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the losses (batch,).

        Args:
            y_true: Targets in fractions of the frame (batch, boxes, 5).
            y_pred: Logits (batch, points, classes + 8).
        """
        logits, boxes, standard = split_logits(y_pred)
        assigned = assign(y_true, standard)
        is_positive = ops.cast(assigned.is_positive, "float32")
        weights = is_positive * self._weigh(assigned.codes)
        quality = ops.stop_gradient(overlaps(boxes, assigned.boxes))
        classes = ops.one_hot(assigned.codes, logits.shape[-1], dtype="float32")
        wanted = classes * ops.expand_dims(is_positive * quality, -1)
        entropies = ops.softplus(logits) - wanted * logits
        focal = entropies * ops.abs(wanted - ops.sigmoid(logits)) ** _GAMMA
        factors = 1.0 + classes * ops.expand_dims(weights - is_positive, -1)
        misses = weights * (1.0 - generalised_overlaps(boxes, assigned.boxes))
        total = ops.sum(focal * factors, axis=(1, 2)) + _BOX_WEIGHT * ops.sum(misses, axis=1)
        return total / ops.maximum(ops.sum(is_positive, axis=1), 1.0)

    def _weigh(self, codes: Any) -> Any:
        if not self._class_weights:
            return 1.0
        weights = ops.convert_to_tensor(np.array(self._class_weights, np.float32))
        return ops.take(weights, ops.maximum(codes, 0), axis=0)


class BoxOverlap(keras.metrics.MeanMetricWrapper):
    """Mean overlap of the boxes of the points that shall answer one, over the examples."""

    def __init__(self) -> None:
        def measure(targets: Any, logits: Any) -> Any:
            _, boxes, standard = split_logits(logits)
            assigned = assign(targets, standard)
            weights = ops.cast(assigned.is_positive, "float32")
            found = ops.sum(overlaps(boxes, assigned.boxes) * weights, axis=1)
            return found / ops.maximum(ops.sum(weights, axis=1), 1.0)

        super().__init__(measure, name="box_overlap")
