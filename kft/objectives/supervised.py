"""The loss against labels, with what a pipeline adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from kft.config import TrainingConfig
from kft.errors import ConfigError
from kft.heads.base import Head
from kft.heads.losses import LossTerms


@dataclass(frozen=True)
class Objective:
    """What a phase minimises and what it reports.

    Attributes:
        loss: Between targets and logits.
        metrics: Between targets and logits.
        terms: What the loss of classes or labels is made of; two of the same terms are one loss.
    """

    loss: keras.losses.Loss
    metrics: list[keras.metrics.Metric]
    terms: LossTerms | None = None


def make_supervised(head: Head, training: TrainingConfig, train_targets: np.ndarray) -> Objective:
    """The head's loss and metrics, made anew: Keras binds them to one compile.

    Args:
        head: Whose targets they are.
        training: The pipeline's `training` section.
        train_targets: Class indices (examples,), or labels (examples, labels)
            of the training split, which weights and priors are counted in.
            `kft.strategies.targets` has found that the settings fit them.

    Raises:
        ConfigError: A class that is to be weighed has no training example.
    """
    if head.target_kind == "number":
        return Objective(head.make_loss(), head.make_metrics())
    names = head.class_names
    terms = LossTerms(
        label_smoothing=training.label_smoothing,
        focal_gamma=training.focal_gamma,
        class_weights=_class_weights(training.class_weights, names, train_targets),
        logit_offsets=_logit_offsets(training.logit_adjustment, names, train_targets),
    )
    return Objective(head.make_loss(terms), head.make_metrics(), terms)


def _class_weights(
    wanted: str | Mapping[str, float], names: tuple[str, ...], targets: np.ndarray
) -> tuple[float, ...]:
    if wanted == "none":
        return ()
    if wanted == "balanced":
        return balanced_weights(names, targets)
    assert not isinstance(wanted, str)
    return tuple(float(wanted.get(name, 1.0)) for name in names)


def balanced_weights(names: tuple[str, ...], targets: np.ndarray) -> tuple[float, ...]:
    """Weights that make every class count alike.

    Of classes: n / (k * n_c), whose mean over the training examples is 1.
    Of labels: absent / present, so that both sides of a label count alike.

    Args:
        names: Name of each class or label.
        targets: Class indices (examples,), or labels (examples, labels).

    Raises:
        ConfigError: A class has no training example, or a label no two sides.
    """
    if targets.ndim == 1:
        counts = count_classes(names, targets, "training.class_weights: 'balanced'")
        return tuple(float(len(targets) / (len(names) * count)) for count in counts)
    present = targets.sum(axis=0)
    for name, count in zip(names, present, strict=True):
        if not 0 < count < len(targets):
            side = "no" if not count else "every"
            raise ConfigError(
                f"training.class_weights: 'balanced', but {side} training example has the label "
                f"{name!r}. Write the weights by name, or leave the label out."
            )
    return tuple(float((len(targets) - count) / count) for count in present)


def _logit_offsets(
    temperature: float, names: tuple[str, ...], targets: np.ndarray
) -> tuple[float, ...]:
    """The temperature times the log of each class's share of the training examples."""
    if not temperature:
        return ()
    assert targets.ndim == 1, "labels, which compete for no share, are refused before"
    counts = count_classes(names, targets, f"training.logit_adjustment: {temperature:g}")
    return tuple(map(float, temperature * np.log(counts / len(targets))))


def count_classes(names: tuple[str, ...], targets: np.ndarray, where: str) -> np.ndarray:
    """Training examples of each class, all above 0.

    Raises:
        ConfigError: A class has none.
    """
    counts = np.bincount(targets.astype(np.int64), minlength=len(names))
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        raise ConfigError(
            f"{where}, but the training split has no example of {', '.join(map(repr, absent))}. "
            "Add some, leave the class out, or turn the setting off."
        )
    return counts
