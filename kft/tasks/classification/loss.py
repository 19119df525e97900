"""Cross-entropy of classes, with all terms that a pipeline may add."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kft.tasks.focal import focal_factor
from kft.tasks.loss_terms import LossTerms


class ClassCrossentropy(keras.losses.Loss):
    """Cross-entropy of classes, with smoothing, focal factor, weights and offsets.

    The loss of an example of class c, with probabilities p after the offsets,
    smoothing s and weights w, is::

        w[c] * (1 - p[c])**gamma * ((1 - s) * -log p[c] + s * mean(-log p))

    The loss of an example with dense targets t, as made by mixup and cutmix,
    is the sum of t[c] times the above over its classes. The loss of a batch is
    the mean over its examples. It is not divided by the sum of their weights,
    so that the parts of a batch add up to the whole.

    Args:
        num_classes: Number of columns of the logits.
        terms: Terms added to the plain cross-entropy.

    Source: Szegedy et al., arXiv:1512.00567 (smoothing); Lin et al.,
    arXiv:1708.02002 (focal factor); Menon et al., arXiv:2007.07314 (offsets).
    """

    def __init__(self, num_classes: int, terms: LossTerms) -> None:
        super().__init__(name="class_crossentropy", dtype="float32")
        self.num_classes = num_classes
        self.terms = terms

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the losses (batch,).

        Args:
            y_true: Class indices (batch,) or (batch, 1), or dense targets (batch, classes).
            y_pred: Logits (batch, classes).
        """
        shares = dense_targets(y_true, self.num_classes)
        if self.terms.class_weights:
            shares = shares * np.array(self.terms.class_weights, np.float32)
        if self.terms.logit_offsets:
            y_pred = y_pred + np.array(self.terms.logit_offsets, np.float32)
        log_probabilities = ops.log_softmax(y_pred, axis=-1)
        costs = -log_probabilities
        smoothing = self.terms.label_smoothing
        if smoothing:
            mean = ops.mean(costs, axis=-1, keepdims=True)
            costs = (1 - smoothing) * costs + smoothing * mean
        if self.terms.focal_gamma:
            costs = costs * focal_factor(log_probabilities, self.terms.focal_gamma)
        return ops.sum(shares * costs, axis=-1)


class ClassAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of examples whose largest logit is that of their class or of their largest target."""

    def __init__(self, num_classes: int) -> None:
        def is_right(targets: Any, logits: Any) -> Any:
            wanted = ops.argmax(dense_targets(targets, num_classes), axis=-1)
            return ops.cast(ops.equal(wanted, ops.argmax(logits, axis=-1)), "float32")

        super().__init__(is_right, name="accuracy")


def dense_targets(targets: Any, num_classes: int) -> Any:
    """Convert class indices (batch,) or (batch, 1) to dense targets, which pass unchanged."""
    if len(targets.shape) == 2 and targets.shape[-1] == num_classes > 1:
        return ops.cast(targets, "float32")
    # Keras adds an axis to targets of rank 1 in fit.
    indices = ops.cast(ops.reshape(targets, (-1,)), "int32")
    return ops.one_hot(indices, num_classes, dtype="float32")
