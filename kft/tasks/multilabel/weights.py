"""Weights of labels that are present."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kft.errors import ConfigError


def balanced_weights(names: Sequence[str], targets: np.ndarray) -> tuple[float, ...]:
    """Compute the ratio of absent to present, so that both sides of a label count equally.

    Args:
        names: Name of each label.
        targets: Targets of 0 and 1 (examples, labels).

    Raises:
        ConfigError: A label is present in no training example, or in all.
    """
    present = targets.sum(axis=0)
    for name, count in zip(names, present, strict=True):
        if not 0 < count < len(targets):
            side = "no" if not count else "every"
            raise ConfigError(
                f"training.class_weights: 'balanced', but {side} training example has the label "
                f"{name!r}. Set the weights by name, or remove the label."
            )
    return tuple(float((len(targets) - count) / count) for count in present)
