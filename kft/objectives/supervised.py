"""The loss against labels, with what a pipeline adds to it."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from kft.heads.base import Head


@dataclass(frozen=True)
class Objective:
    """What a phase minimises and what it reports.

    Attributes:
        loss: Between targets and logits.
        metrics: Between targets and logits.
    """

    loss: keras.losses.Loss
    metrics: list[keras.metrics.Metric]


def make_supervised(head: Head, *, label_smoothing: float) -> Objective:
    """The head's own loss and metrics, made anew: Keras binds them to one compile.

    Raises:
        ConfigError: Labels of this head cannot be smoothed.
    """
    return Objective(head.make_loss(label_smoothing), head.make_metrics())
