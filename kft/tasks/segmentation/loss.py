"""Losses of masks: cross-entropy of each labelled pixel, and losses of whole regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from kft.tasks.base import VOID
from kft.tasks.focal import focal_factor
from kft.tasks.loss_terms import LossTerms

RegionLoss = Literal["none", "dice", "lovasz"]
# Keeps the dice of a class that neither side has at no loss.
_SMOOTH = 1.0


@dataclass(frozen=True)
class MaskTerms(LossTerms):
    """Terms of the loss of masks.

    Attributes:
        region_loss: Loss of whole regions that is added to the cross-entropy.
    """

    region_loss: RegionLoss = "none"


class MaskLoss(keras.losses.Loss):
    """Mean over the labelled pixels of an example of their cross-entropy, and a loss of regions.

    `VOID` pixels count for nothing; an example without any labelled pixel has
    no loss. The loss of a batch is the mean over its examples.

    Args:
        terms: Terms added to the plain cross-entropy.

    Source: Lin et al., arXiv:1708.02002 (focal factor); Milletari et al., arXiv:1606.04797 (dice);
    Berman et al., arXiv:1705.08790 (Lovasz).
    """

    def __init__(self, terms: MaskTerms) -> None:
        super().__init__(name="mask_loss", dtype="float32")
        self.terms = terms

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the losses (batch,).

        Args:
            y_true: Masks (batch, height, width) of class indices and `VOID`.
            y_pred: Logits (batch, height, width, classes).
        """
        is_labelled, labels = split_void(y_true)
        num_labelled = ops.maximum(ops.sum(is_labelled, axis=(1, 2)), 1.0)
        costs = self._find_costs(labels, y_pred) * is_labelled
        loss = ops.sum(costs, axis=(1, 2)) / num_labelled
        if self.terms.region_loss == "none":
            return loss
        shares = ops.softmax(y_pred, axis=-1) * is_labelled[..., None]
        dense = ops.one_hot(labels, y_pred.shape[-1], dtype="float32") * is_labelled[..., None]
        compute = _dice if self.terms.region_loss == "dice" else _lovasz
        return loss + compute(dense, shares)

    def _find_costs(self, labels: Any, logits: Any) -> Any:
        """Cross-entropy of each pixel (batch, height, width), with its terms."""
        log_probabilities = ops.log_softmax(logits, axis=-1)
        own = ops.take_along_axis(log_probabilities, labels[..., None], axis=-1)[..., 0]
        costs, smoothing = -own, self.terms.label_smoothing
        if smoothing:
            costs = (1 - smoothing) * costs - smoothing * ops.mean(log_probabilities, axis=-1)
        if self.terms.focal_gamma:
            costs = costs * focal_factor(own, self.terms.focal_gamma)
        if self.terms.class_weights:
            weights = ops.convert_to_tensor(np.array(self.terms.class_weights, np.float32))
            costs = costs * ops.take(weights, labels, axis=0)
        return costs


def split_void(masks: Any) -> tuple[Any, Any]:
    """Split masks into 1.0 where a pixel has a class, and class indices, 0 where it has none."""
    indices = ops.cast(masks, "int32")
    is_labelled = ops.not_equal(indices, VOID)
    return ops.cast(is_labelled, "float32"), ops.where(is_labelled, indices, 0)


def _dice(dense: Any, shares: Any) -> Any:
    """One minus the dice coefficient, in the mean over the classes (batch,)."""
    both = ops.sum(dense * shares, axis=(1, 2))
    either = ops.sum(dense, axis=(1, 2)) + ops.sum(shares, axis=(1, 2))
    return ops.mean(1.0 - (2.0 * both + _SMOOTH) / (either + _SMOOTH), axis=-1)


def _lovasz(dense: Any, shares: Any) -> Any:
    """Lovasz extension of one minus the intersection over union (batch,).

    It is the mean over the classes that an example has.
    """
    num_classes = dense.shape[-1]
    dense, shares = (
        ops.transpose(ops.reshape(each, (ops.shape(each)[0], -1, num_classes)), (0, 2, 1))
        for each in (dense, shares)
    )
    errors = ops.abs(dense - shares)
    order = ops.flip(ops.argsort(errors, axis=-1), axis=-1)
    sorted_errors, sorted_dense = (
        ops.take_along_axis(each, order, axis=-1) for each in (errors, dense)
    )
    total = ops.sum(dense, axis=-1, keepdims=True)
    missed = total - ops.cumsum(sorted_dense, axis=-1)
    union = total + ops.cumsum(1.0 - sorted_dense, axis=-1)
    jaccard = 1.0 - missed / ops.maximum(union, 1.0)
    steps = ops.concatenate([jaccard[..., :1], jaccard[..., 1:] - jaccard[..., :-1]], axis=-1)
    losses = ops.sum(sorted_errors * ops.stop_gradient(steps), axis=-1)
    has_class = ops.cast(total[..., 0] > 0.0, "float32")
    return ops.sum(losses * has_class, axis=-1) / ops.maximum(ops.sum(has_class, axis=-1), 1.0)


class MaskAccuracy(keras.metrics.Metric):
    """Share of labelled pixels whose largest logit is that of their class."""

    def __init__(self) -> None:
        super().__init__(name="accuracy")
        self.right = self.add_weight(name="right", initializer="zeros")
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count the pixels of a batch; an example that comes once more has a weight of 0."""
        is_labelled, labels = split_void(y_true)
        if sample_weight is not None:
            weights = ops.cast(ops.reshape(sample_weight, (-1, 1, 1)), "float32")
            is_labelled = is_labelled * weights
        is_right = ops.cast(ops.equal(ops.argmax(y_pred, axis=-1), labels), "float32")
        self.right.assign_add(ops.sum(is_right * is_labelled))
        self.total.assign_add(ops.sum(is_labelled))

    def result(self) -> Any:
        """Compute the share; 0 without a labelled pixel."""
        return ops.divide_no_nan(self.right, self.total)
