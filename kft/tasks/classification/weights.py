"""How much each class counts in the loss, by how many examples it has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kft.errors import ConfigError


def balanced_weights(names: Sequence[str], targets: np.ndarray) -> tuple[float, ...]:
    """n / (k * n_c): every class counts alike, and the mean over the training examples is 1.

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
    """The temperature times the log of each class's share of the training examples.

    Args:
        temperature: `training.logit_adjustment`; 0 for no offsets.
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
    """Training examples of each class, all above 0."""
    counts = np.bincount(targets.astype(np.int64), minlength=len(names))
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        raise ConfigError(
            f"{where}, but the training split has no example of {', '.join(map(repr, absent))}. "
            "Add some, leave the class out, or turn the setting off."
        )
    return counts
