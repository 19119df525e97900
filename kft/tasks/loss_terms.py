"""Terms that a pipeline adds to a cross-entropy, and what contradicts its names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kft.config import TrainingConfig
from kft.registry import suggest


@dataclass(frozen=True)
class LossTerms:
    """What is added to a plain cross-entropy; by default nothing.

    Attributes:
        label_smoothing: Share of the target that is spread evenly.
        focal_gamma: Exponent of the focal factor.
        class_weights: Factor on the loss of each class, or of each label
            where it is present; empty for 1.
        logit_offsets: Added to the logits of each class; empty for 0.
    """

    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    class_weights: tuple[float, ...] = ()
    logit_offsets: tuple[float, ...] = ()


PLAIN = LossTerms()


def read_weights(
    wanted: str | Mapping[str, float],
    names: Sequence[str],
    balance: Callable[[], tuple[float, ...]],
) -> tuple[float, ...]:
    """A weight for each name; empty where nobody asks for any.

    Args:
        wanted: `training.class_weights`.
        names: Of classes or labels.
        balance: Gives the weights of 'balanced'.
    """
    if wanted == "none":
        return ()
    if isinstance(wanted, str):
        return balance()
    return tuple(float(wanted.get(name, 1.0)) for name in names)


def refuse_weights(training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
    """Sentences: what is wrong with the weights of names that do not occur, or are all 0."""
    weights = training.class_weights
    if not isinstance(weights, Mapping):
        return
    for name in weights:
        if name not in names:
            yield f"training.class_weights: no class {name!r}. {suggest(name, names)}"
    if all(weights.get(name, 1.0) == 0 for name in names):
        yield "training.class_weights: no weight is above 0, so nothing would be learned."


def smooth(dense: np.ndarray, smoothing: float, num_answers: int) -> np.ndarray:
    """Dense targets of which a share is spread evenly over so many answers."""
    return dense * (1 - smoothing) + smoothing / num_answers if smoothing else dense
