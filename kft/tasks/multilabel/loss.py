"""Binary cross-entropy of labels, with all terms that a pipeline may add."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kft.tasks.focal import focal_factor
from kft.tasks.loss_terms import LossTerms


class LabelCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of labels, with smoothing, focal factor and weights of present labels.

    The loss of a label that is present, with probability p, smoothing s and
    weight w, is::

        w * (1 - p)**gamma * ((1 - s / 2) * -log p + s / 2 * -log(1 - p))

    For a label that is absent, p and 1 - p are exchanged and w is 1. Targets
    between 0 and 1 weigh both losses by their shares.

    Args:
        terms: Terms added to the plain cross-entropy.

    Source: Lin et al., arXiv:1708.02002 (focal factor).
    """

    def __init__(self, terms: LossTerms) -> None:
        super().__init__(name="label_crossentropy", dtype="float32")
        self.terms = terms

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the losses (batch,), each the mean over the labels.

        Args:
            y_true: Targets in [0, 1] (batch, labels).
            y_pred: Logits (batch, labels).
        """
        # -log p and -log(1 - p), computed without a logarithm of zero.
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


class LabelAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of labels whose logit has the sign that their target, or most of it, implies."""

    def __init__(self) -> None:
        def is_right(targets: Any, logits: Any) -> Any:
            return ops.cast(ops.equal(targets > 0.5, logits > 0), "float32")

        super().__init__(is_right, name="accuracy")
