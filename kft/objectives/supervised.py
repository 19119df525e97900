"""The loss against labels, with what a pipeline adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kft.config import TrainingConfig
from kft.tasks.head import Head


@dataclass(frozen=True)
class Objective:
    """What a phase minimises and what it reports.

    Attributes:
        loss: Between targets and logits.
        metrics: Between targets and logits.
        terms: What the pipeline adds to the loss; two of the same terms are one loss.
    """

    loss: keras.losses.Loss
    metrics: list[keras.metrics.Metric]
    terms: Any


def make_supervised(head: Head, training: TrainingConfig, train_targets: np.ndarray) -> Objective:
    """The head's loss and metrics, made anew: Keras binds them to one compile.

    Args:
        head: Whose targets they are.
        training: The pipeline's `training` section.
        train_targets: Of the training split, as `Head.standardise` gives them; weights and
            priors are counted in them. `kft.strategies.targets` has found that the settings fit
            them.

    Raises:
        ConfigError: A class that is to be weighed has no training example.
    """
    terms = head.make_terms(training, train_targets)
    return Objective(head.make_loss(terms), head.make_metrics(), terms)
