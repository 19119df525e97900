"""Head of classification."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.linear import LinearTargets
from kft.statistics import log_probabilities
from kft.tasks.base import Task
from kft.tasks.classification.loss import ClassAccuracy, ClassCrossentropy
from kft.tasks.classification.task import Classification
from kft.tasks.classification.weights import balanced_weights, logit_offsets
from kft.tasks.head import Head
from kft.tasks.loss_terms import PLAIN, LossTerms, make_terms, smooth


@dataclass(frozen=True)
class ClassificationHead(Head):
    """Head of classification, with softmax and cross-entropy."""

    task: ClassVar[Task] = Classification()
    other_outputs: ClassVar[tuple[str, ...]] = ("top_class",)

    def make_terms(self, training: TrainingConfig, train_targets: np.ndarray) -> LossTerms:
        """Make the terms: smoothing, focal factor, class weights, and offsets by class shares."""
        names = self.class_names
        terms = make_terms(training, names, lambda: balanced_weights(names, train_targets))
        offsets = logit_offsets(training.logit_adjustment, names, train_targets)
        return replace(terms, logit_offsets=offsets)

    def make_loss(self, terms: LossTerms = PLAIN) -> keras.losses.Loss:
        """Make the cross-entropy of class indices or dense targets and logits (batch, classes)."""
        return ClassCrossentropy(len(self.class_names), terms)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Make the accuracy."""
        return [ClassAccuracy(len(self.class_names))]

    def state_linear(
        self, training: TrainingConfig, terms: LossTerms, targets: np.ndarray
    ) -> LinearTargets:
        """Express the loss with one-hot targets; `training.sampling` becomes example weights."""
        num_classes = len(self.class_names)
        dense = np.eye(num_classes, dtype=np.float32)[targets]
        weights = None
        if terms.class_weights:
            weights = np.array(terms.class_weights, np.float32)[targets]
        elif training.sampling == "balanced":
            counts = np.bincount(targets, minlength=num_classes)
            # A class may have a name but no training example.
            weights = (len(targets) / (num_classes * np.maximum(counts, 1)))[targets]
        offsets = np.array(terms.logit_offsets, np.float32) if terms.logit_offsets else None
        return LinearTargets(smooth(dense, terms.label_smoothing, num_classes), weights, offsets)

    def activate(self, logits: Any) -> Any:
        """Compute probabilities that sum to 1 over the classes."""
        return keras.ops.softmax(logits)

    def find_logits(self, outputs: np.ndarray) -> np.ndarray:
        """Find logits up to a constant on all classes of an example: the logarithms."""
        return log_probabilities(outputs)

    def serve(self, outputs: Any, frames: Any = None) -> dict[str, Any]:
        """Make the outputs of every head and the name of the most probable class."""
        top = tf.gather(tf.constant(self.class_names), tf.argmax(outputs, axis=-1))
        return {**super().serve(outputs, frames), "top_class": top}

    def _make_direction(self, place: int, outputs: np.ndarray) -> np.ndarray:
        # Softmax depends only on differences of logits.
        direction: np.ndarray = super()._make_direction(place, outputs) - 1 / self.num_logits
        return direction
