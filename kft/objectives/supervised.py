"""Supervised objective: loss and metrics against targets, with the pipeline's additional terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kft.config import TrainingConfig
from kft.tasks.head import Head


@dataclass(frozen=True)
class Objective:
    """Loss that a phase minimises and metrics that it reports.

    Attributes:
        loss: Loss between targets and logits.
        metrics: Metrics between targets and logits.
        terms: Terms that the pipeline adds to the loss; equal terms mean equal losses.
    """

    loss: keras.losses.Loss
    metrics: list[keras.metrics.Metric]
    terms: Any


def make_supervised(head: Head, training: TrainingConfig, train_targets: np.ndarray) -> Objective:
    """Make new loss and metrics for the head, because Keras binds them to one compiled model.

    Args:
        head: Head that defines the targets.
        training: The pipeline's `training` section, already checked against the targets by
            `kft.strategies.targets`.
        train_targets: Targets of the training split as returned by `Head.standardise`, from which
            class weights and priors are computed.

    Raises:
        ConfigError: A class that needs a weight or a prior has no training example.
    """
    terms = head.make_terms(training, train_targets)
    return Objective(head.make_loss(terms), head.make_metrics(), terms)
