"""Head of multilabel classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from kft.config import TrainingConfig
from kft.linear import LinearTargets
from kft.statistics import log_probabilities
from kft.tasks.base import Task
from kft.tasks.head import Head
from kft.tasks.loss_terms import PLAIN, LossTerms, make_terms, smooth
from kft.tasks.multilabel.loss import LabelAccuracy, LabelCrossentropy
from kft.tasks.multilabel.task import Multilabel
from kft.tasks.multilabel.weights import balanced_weights


@dataclass(frozen=True)
class MultilabelHead(Head):
    """Head of multilabel classification, with sigmoids and binary cross-entropies."""

    task: ClassVar[Task] = Multilabel()

    def make_terms(self, training: TrainingConfig, train_targets: np.ndarray) -> LossTerms:
        """Make the terms: smoothing, focal factor, and weights of labels that are present."""
        names = self.class_names
        return make_terms(training, names, lambda: balanced_weights(names, train_targets))

    def make_loss(self, terms: LossTerms = PLAIN) -> keras.losses.Loss:
        """Make the binary cross-entropy of targets in [0, 1] and logits, both (batch, labels)."""
        return LabelCrossentropy(terms)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Make the accuracy over all labels at probability 0.5, which is logit 0."""
        return [LabelAccuracy()]

    def state_linear(
        self, training: TrainingConfig, terms: LossTerms, targets: np.ndarray
    ) -> LinearTargets:
        """Express the loss with smoothed labels, each of which has two answers."""
        return LinearTargets(smooth(targets, terms.label_smoothing, 2))

    def activate(self, logits: Any) -> Any:
        """Compute the probability of each label."""
        return keras.ops.sigmoid(logits)

    def find_logits(self, outputs: np.ndarray) -> np.ndarray:
        """Find the logit of each label."""
        logits: np.ndarray = log_probabilities(outputs) - log_probabilities(1 - outputs)
        return logits
