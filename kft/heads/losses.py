"""Cross-entropies of classes and of labels, with every term that a pipeline may add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

# The gradient of x**gamma has no limit at 0 where gamma is below 1.
LEAST_DOUBT = 1e-7


@dataclass(frozen=True)
class LossTerms:
    """What is added to the plain loss of a head; as it stands, nothing.

    Attributes:
        label_smoothing: Share of the target that is spread evenly.
        focal_gamma: Exponent of the focal factor.
        class_weights: Factor on the loss of each class, or of each label
            where it is present; empty for 1.
        logit_offsets: Added to the logits of each class; empty for 0.
    """

    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    class_weights: tuple[float, ...] = ()
    logit_offsets: tuple[float, ...] = ()


class ClassCrossentropy(keras.losses.Loss):
    """Cross-entropy of one class of several, with smoothing, focus, weights and offsets.

    An example of class c costs, with p its probabilities after the offsets,
    s the smoothing and w the weights::

        w[c] * (1 - p[c])**gamma * ((1 - s) * -log p[c] + s * mean(-log p))

    An example with dense targets t, as mixup and cutmix make them, costs
    what its classes cost, each in its share: sum of t[c] times the above.
    The batch costs the mean over its examples, not divided by the sum of
    their weights: so parts of a batch add up to the whole.

    Args:
        num_classes: Columns of the logits.
        terms: What to add to the plain cross-entropy.

    Source: Szegedy et al., arXiv:1512.00567 (smoothing); Lin et al.,
    arXiv:1708.02002 (focus); Menon et al., arXiv:2007.07314 (offsets).
    """

    def __init__(self, num_classes: int, terms: LossTerms) -> None:
        super().__init__(name="class_crossentropy", dtype="float32")
        self.num_classes = num_classes
        self.terms = terms

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss (batch,) of logits (batch, classes).

        Args:
            y_true: Class indices (batch,) or (batch, 1), or dense targets (batch, classes).
            y_pred: Logits.
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
            spread = ops.mean(costs, axis=-1, keepdims=True)
            costs = (1 - smoothing) * costs + smoothing * spread
        if self.terms.focal_gamma:
            costs = costs * focal_factor(log_probabilities, self.terms.focal_gamma)
        return ops.sum(shares * costs, axis=-1)


class LabelCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of each label, with smoothing, focus and weights of what is present.

    A label costs, with p its probability, where it is present::

        w * (1 - p)**gamma * ((1 - s / 2) * -log p + s / 2 * -log(1 - p))

    and the same with p and 1 - p exchanged, but w = 1, where it is absent.
    Targets between 0 and 1 cost both in their shares.

    Args:
        terms: What to add to the plain cross-entropy.

    Source: Lin et al., arXiv:1708.02002 (focus).
    """

    def __init__(self, terms: LossTerms) -> None:
        super().__init__(name="label_crossentropy", dtype="float32")
        self.terms = terms

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss (batch,), the mean over the labels.

        Args:
            y_true: Targets in [0, 1] (batch, labels).
            y_pred: Logits (batch, labels).
        """
        # -log p and -log(1 - p), without a logarithm of zero.
        of_present, of_absent = ops.softplus(-y_pred), ops.softplus(y_pred)
        half = self.terms.label_smoothing / 2
        present = (1 - half) * of_present + half * of_absent
        absent = (1 - half) * of_absent + half * of_present
        if self.terms.focal_gamma:
            present = present * focal_factor(-of_present, self.terms.focal_gamma)
            absent = absent * focal_factor(-of_absent, self.terms.focal_gamma)
        if self.terms.class_weights:
            present = present * np.array(self.terms.class_weights, np.float32)
        return ops.mean(y_true * present + (1 - y_true) * absent, axis=-1)


class ClassAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of examples whose largest logit is that of their class, or of their largest target."""

    def __init__(self, num_classes: int) -> None:
        def is_right(targets: Any, logits: Any) -> Any:
            wanted = ops.argmax(dense_targets(targets, num_classes), axis=-1)
            return ops.cast(ops.equal(wanted, ops.argmax(logits, axis=-1)), "float32")

        super().__init__(is_right, name="accuracy")


class LabelAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of labels whose logit lies on the side of 0 that their target, or most of it, does."""

    def __init__(self) -> None:
        def is_right(targets: Any, logits: Any) -> Any:
            return ops.cast(ops.equal(targets > 0.5, logits > 0), "float32")

        super().__init__(is_right, name="accuracy")


def dense_targets(targets: Any, num_classes: int) -> Any:
    """Targets (batch, classes) of class indices (batch,) or (batch, 1); dense ones as they are."""
    if len(targets.shape) == 2 and targets.shape[-1] == num_classes > 1:
        return ops.cast(targets, "float32")
    # Keras adds an axis to targets of rank 1 in fit.
    indices = ops.cast(ops.reshape(targets, (-1,)), "int32")
    return ops.one_hot(indices, num_classes, dtype="float32")


def focal_factor(log_probabilities: Any, gamma: float) -> Any:
    """(1 - p)**gamma of log p: little for what is answered well already.

    Source: Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002.
    """
    # expm1 keeps the digits that 1 - exp(log p) loses near p = 1.
    return ops.power(ops.maximum(-ops.expm1(log_probabilities), LEAST_DOUBT), gamma)
