"""Result of a head on several blocks: a weighted mean of heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Member:
    """Head that takes part in a blend.

    Attributes:
        gamma: Weight of a block relative to the next deeper one.
        method: 'solved' for the optimum of the loss, 'discriminant' for linear discriminants.
        weight: Weight in the blend.
        penalty: Factor on the squared norm of a solved kernel, or ridge penalty of discriminants.
        shrinkage: Shrinkage of discriminants; None for a solved head.
        loss: Mean loss per example, by heads that had not seen it.
        score: Mean score by the same heads.
    """

    gamma: float
    method: str
    weight: float
    penalty: float
    shrinkage: float | None
    loss: float
    score: float


@dataclass(frozen=True)
class LayeredSolution:
    """Linear head on the statistics of several blocks.

    Attributes:
        kernel: Kernel, float32 (columns, outputs). Centring, scales and weights of the blocks are
            folded into it, so that it applies to the statistics as given.
        bias: Bias, float32 (outputs,).
        members: Heads whose weighted mean this is, and those that got no weight.
        loss: Mean loss per example, by heads that had not seen it.
        score: Mean score by the same heads.
        num_cross_validated: Number of examples that members and weights were chosen on.
        out_of_fold: Logits, float32 (examples, outputs), of each example by heads that had not
            seen it; NaN for examples that no head left out.
    """

    kernel: np.ndarray
    bias: np.ndarray
    members: tuple[Member, ...]
    loss: float
    score: float
    num_cross_validated: int
    out_of_fold: np.ndarray
