"""What less exact numbers cost: the accuracy of a probe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

ACCURACY_LOSS = 0.005


@dataclass(frozen=True)
class Judge:
    """Says what less exact numbers cost.

    Attributes:
        inputs: Gives batches (batch, …) of some hundred real inputs of all classes.
        num_examples: How many those are in all.
        accuracy: Their feature vectors, float32 (examples, features) -> the cross-validated
            accuracy of a probe on them, in [0, 1].
    """

    inputs: Callable[[], Iterable[Any]]
    num_examples: int
    accuracy: Callable[[np.ndarray], float]

    def find_loss(self, compute: Callable[[Any], tuple[np.ndarray, np.ndarray]]) -> float:
        """Accuracy that less exact activations lose; infinite where they are no longer finite.

        Each batch is pooled at once: feature maps of all inputs would take gigabytes.

        Args:
            compute: A batch of inputs -> its activations (batch, …), exact and less exact.
        """
        exact, rounded = [], []
        for inputs in self.inputs():
            first, second = compute(inputs)
            if not np.array_equal(np.isfinite(first), np.isfinite(second)):
                return float("inf")
            exact.append(_pool(first))
            rounded.append(_pool(second))
        return self.accuracy(np.concatenate(exact)) - self.accuracy(np.concatenate(rounded))


def _pool(activations: np.ndarray) -> np.ndarray:
    """A vector an example: the mean over the places of a feature map."""
    places = tuple(range(1, activations.ndim - 1))
    vectors: np.ndarray = activations.mean(axis=places) if places else activations
    return vectors
