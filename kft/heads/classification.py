"""Heads whose answers are classes: one of several, or any number of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras

from kft.heads.base import Head


@dataclass(frozen=True)
class ClassificationHead(Head):
    """One class of several: softmax and cross-entropy."""

    name: ClassVar[str] = "classification"
    target_kind: ClassVar[str] = "class"

    def make_loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        """Cross-entropy of int class indices (batch,) and logits (batch, classes)."""
        if not label_smoothing:
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return SmoothedCrossentropy(len(self.class_names), label_smoothing)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Accuracy."""
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def activate(self, logits: Any) -> Any:
        """Probabilities that sum to 1 over the classes."""
        return keras.ops.softmax(logits)


@dataclass(frozen=True)
class MultilabelHead(Head):
    """Any number of labels: a sigmoid and binary cross-entropy for each."""

    name: ClassVar[str] = "multilabel"
    target_kind: ClassVar[str] = "labels"

    def make_loss(self, label_smoothing: float = 0.0) -> keras.losses.Loss:
        """Binary cross-entropy of targets in {0, 1} and logits, both (batch, labels)."""
        return keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=label_smoothing)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Accuracy over all labels at probability 0.5, which is logit 0."""
        return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]

    def activate(self, logits: Any) -> Any:
        """Probability of each label."""
        return keras.ops.sigmoid(logits)


class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy against 1 - s on the true class plus s spread over all classes.

    Keras smooths dense targets only; this one takes class indices.

    Source: Szegedy et al., Rethinking the Inception Architecture, arXiv:1512.00567.
    """

    def __init__(self, num_classes: int, label_smoothing: float) -> None:
        super().__init__(name="smoothed_crossentropy")
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss (batch,) of int indices (batch,) or (batch, 1) and logits (batch, classes)."""
        indices = keras.ops.reshape(y_true, (-1,))
        targets = keras.ops.one_hot(indices, self.num_classes)
        return keras.losses.categorical_crossentropy(
            targets, y_pred, from_logits=True, label_smoothing=self.label_smoothing
        )
