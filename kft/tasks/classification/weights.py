"""Class weights and logit offsets from the number of examples of each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kft.errors import ConfigError


def balanced_weights(names: Sequence[str], targets: np.ndarray) -> tuple[float, ...]:
    """Compute weights n / (k * n_c), so that classes count equally and examples 1 on average.

    Args:
        names: Name of each class.
        targets: Class indices (examples,).

    Raises:
        ConfigError: A class has no training example.
    """
    counts = _count_classes(names, targets, "training.class_weights: 'balanced'")
    return tuple(float(len(targets) / (len(names) * count)) for count in counts)


def logit_offsets(
    temperature: float, names: Sequence[str], targets: np.ndarray
) -> tuple[float, ...]:
    """Compute the temperature times the log of each class's share of the training examples.

    Args:
        temperature: The setting `training.logit_adjustment`; 0 for no offsets.
        names: Name of each class.
        targets: Class indices (examples,).

    Raises:
        ConfigError: A class has no training example.
    """
    if not temperature:
        return ()
    counts = _count_classes(names, targets, f"training.logit_adjustment: {temperature:g}")
    return tuple(map(float, temperature * np.log(counts / len(targets))))


def _count_classes(names: Sequence[str], targets: np.ndarray, where: str) -> np.ndarray:
    """Count the training examples of each class, and refuse classes without any."""
    counts = np.bincount(targets.astype(np.int64), minlength=len(names))
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        raise ConfigError(
            f"{where}, but the training split has no example of {', '.join(map(repr, absent))}. "
            "Add examples, remove the class, or remove the setting."
        )
    return counts
