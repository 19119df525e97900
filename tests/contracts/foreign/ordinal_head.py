"""Layers and loss of ordered classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
from foreign.ordinal import Ordinal
from keras import ops

from kft.tasks.head import Head


class StepLoss(keras.losses.Loss):
    """Mean binary cross-entropy of the questions 'is it beyond this class?'."""

    def call(self, y_true, y_pred):
        """Compute the loss (batch,) of class indices and logits (batch, classes - 1)."""
        steps = ops.arange(y_pred.shape[-1], dtype="int32")
        beyond = ops.cast(ops.cast(ops.reshape(y_true, (-1, 1)), "int32") > steps, "float32")
        return ops.mean(ops.softplus(y_pred) - beyond * y_pred, axis=-1)


@dataclass(frozen=True)
class OrdinalHead(Head):
    """Head of extended binary classification.

    Source: Li and Lin, Ordinal Regression by Extended Binary Classification, NIPS 2006.
    """

    task: ClassVar = Ordinal()

    @property
    def num_logits(self) -> int:
        """Number of steps between classes."""
        return len(self.class_names) - 1

    def make_loss(self, terms: Any = None):
        """See `Head`."""
        return StepLoss(name="step_loss")

    def make_metrics(self):
        """Return no metrics, because the loss is enough."""
        return []

    def activate(self, logits):
        """Compute class probabilities, the differences between consecutive steps."""
        # The product makes the probabilities decrease for any logits.
        beyond = ops.cumprod(ops.sigmoid(logits), axis=-1)
        one, none = ops.ones_like(beyond[:, :1]), ops.zeros_like(beyond[:, :1])
        return ops.concatenate([one, beyond], axis=-1) - ops.concatenate([beyond, none], axis=-1)
