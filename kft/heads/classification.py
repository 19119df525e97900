"""Heads whose answers are classes: one of several, or any number of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras

from kft.heads.base import PLAIN, Head
from kft.heads.losses import (
    ClassAccuracy,
    ClassCrossentropy,
    LabelAccuracy,
    LabelCrossentropy,
    LossTerms,
)


@dataclass(frozen=True)
class ClassificationHead(Head):
    """One class of several: softmax and cross-entropy."""

    name: ClassVar[str] = "classification"
    target_kind: ClassVar[str] = "class"

    def make_loss(self, terms: LossTerms = PLAIN) -> keras.losses.Loss:
        """Cross-entropy of class indices or dense targets, and logits (batch, classes)."""
        return ClassCrossentropy(len(self.class_names), terms)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Accuracy."""
        return [ClassAccuracy(len(self.class_names))]

    def activate(self, logits: Any) -> Any:
        """Probabilities that sum to 1 over the classes."""
        return keras.ops.softmax(logits)


@dataclass(frozen=True)
class MultilabelHead(Head):
    """Any number of labels: a sigmoid and binary cross-entropy for each."""

    name: ClassVar[str] = "multilabel"
    target_kind: ClassVar[str] = "labels"

    def make_loss(self, terms: LossTerms = PLAIN) -> keras.losses.Loss:
        """Binary cross-entropy of targets in [0, 1] and logits, both (batch, labels)."""
        assert not terms.logit_offsets, "the setting behind them is refused before"
        return LabelCrossentropy(terms)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Accuracy over all labels at probability 0.5, which is logit 0."""
        return [LabelAccuracy()]

    def activate(self, logits: Any) -> Any:
        """Probability of each label."""
        return keras.ops.sigmoid(logits)
