"""Terms that a pipeline adds to a cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kft.config import TrainingConfig
from kft.registry import suggest


@dataclass(frozen=True)
class LossTerms:
    """Terms added to a plain cross-entropy; by default none.

    Attributes:
        label_smoothing: Share of the target that is spread evenly.
        focal_gamma: Exponent of the focal factor.
        class_weights: Factor on the loss of each class, or of each label if it
            is present; empty for 1.
        logit_offsets: Offset added to the logits of each class; empty for 0.
    """

    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    class_weights: tuple[float, ...] = ()
    logit_offsets: tuple[float, ...] = ()


PLAIN = LossTerms()


def make_terms(
    training: TrainingConfig, names: Sequence[str], balance: Callable[[], tuple[float, ...]]
) -> LossTerms:
    """Make the terms that classes and labels share.

    Args:
        training: The pipeline's `training` section.
        names: Names of classes or labels.
        balance: Function that computes the weights for 'balanced'.
    """
    return LossTerms(
        label_smoothing=training.label_smoothing,
        focal_gamma=training.focal_gamma,
        class_weights=_read_weights(training.class_weights, names, balance),
    )


def _read_weights(
    setting: str | Mapping[str, float],
    names: Sequence[str],
    balance: Callable[[], tuple[float, ...]],
) -> tuple[float, ...]:
    """Read the weight of each name; empty if no weights are configured."""
    if setting == "none":
        return ()
    if isinstance(setting, str):
        return balance()
    return tuple(float(setting.get(name, 1.0)) for name in names)


def refuse_weights(training: TrainingConfig, names: Sequence[str]) -> Iterator[str]:
    """Find class weights of unknown names, or that are all 0, each with a message."""
    weights = training.class_weights
    if not isinstance(weights, Mapping):
        return
    for name in weights:
        if name not in names:
            yield f"training.class_weights: no class {name!r}. {suggest(name, names)}"
    if all(weights.get(name, 1.0) == 0 for name in names):
        yield "training.class_weights: no weight is above 0, so nothing would be learned."


def smooth(dense: np.ndarray, smoothing: float, num_answers: int) -> np.ndarray:
    """Spread a share of dense targets evenly over `num_answers` answers."""
    return dense * (1 - smoothing) + smoothing / num_answers if smoothing else dense
