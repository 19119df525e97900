"""Linear head on statistics of several blocks, weighted by their distance from the last block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kft.linear.folds import sample_rows
from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.problem import MAX_HELD, take_rows
from kft.linear.solving import (
    CROSS_VALIDATED,
    Attempt,
    CrossValidation,
    Progress,
    Solution,
    conclude,
    count_cross_validated,
    cross_validate,
)

# Weights of a block relative to the next deeper one. 0 reads the last block alone, 1 all alike.
GAMMAS = (0.0, 0.5, 0.7, 0.85, 1.0)


@dataclass(frozen=True)
class LayeredSolution:
    """Linear head on the statistics of several blocks.

    Attributes:
        head: The head. Centring, scales and weights of the blocks are folded into it, so that it
            applies to the statistics as given.
        gamma: Chosen weight of a block relative to the next deeper one.
        compared: Each gamma, with its best penalty, cross-validated loss and score.
        num_compared: Number of examples that gamma was chosen on.
    """

    head: Solution
    gamma: float
    compared: dict[float, Attempt]
    num_compared: int


def solve_layered(
    statistics: np.ndarray,
    blocks: Sequence[Sequence[int]],
    targets: LinearTargets,
    loss: LinearLoss,
    *,
    gammas: Sequence[float] = GAMMAS,
    seed: int = 0,
    progress: Progress | None = None,
) -> LayeredSolution:
    """Solve for a linear head on all blocks, with gamma and penalty by cross-validated loss.

    Each statistic is centred, scaled to a mean squared norm of 1 and multiplied by gamma to the
    power of the number of blocks from the last. The folds are the same for all values of gamma.

    Args:
        statistics: Statistics of all blocks side by side, (examples, columns), of any float type,
            possibly memory-mapped.
        blocks: For each block, shallow to deep, the widths of its statistics, such as means and
            deviations over positions; in the order of the columns.
        targets: Targets of the examples, with weights, offsets and groups.
        loss: Loss of the logits.
        gammas: Values of gamma to compare; one value to use it as it is.
        seed: Seed of the folds.
        progress: Called after each penalty that was tried.

    Source: Evci et al., Head2Toe, arXiv:2201.03529, for the statistics of all layers.
    """
    widths = [width for block in blocks for width in block]
    depths = np.array([at for at, block in enumerate(blocks) for _ in block])
    scales = _find_scales(statistics, widths, sample_rows(targets, loss, seed, CROSS_VALIDATED))

    def make_factors(gamma: float) -> np.ndarray:
        return np.repeat(scales * gamma ** (len(blocks) - 1 - depths), widths)

    def try_gamma(gamma: float, most_rows: int) -> CrossValidation:
        return cross_validate(
            statistics,
            targets,
            loss,
            factors=make_factors(gamma),
            most_rows=most_rows,
            seed=seed,
            progress=progress,
        )

    compared: dict[float, Attempt] = {}
    best: tuple[float, CrossValidation] | None = None
    for gamma in gammas:
        found = try_gamma(gamma, CROSS_VALIDATED)
        compared[gamma] = found.best
        if best is None or found.best.loss < best[1].best.loss:
            best = gamma, found
    assert best is not None
    gamma, found = best
    num_compared = len(found.rows)
    if num_compared < count_cross_validated(targets):
        found = try_gamma(gamma, MAX_HELD)
    head = conclude(found, statistics, targets, loss, factors=make_factors(gamma), seed=seed)
    return LayeredSolution(head, gamma, compared, num_compared)


def _find_scales(statistics: np.ndarray, widths: Sequence[int], rows: np.ndarray) -> np.ndarray:
    """Find the factor of each statistic that makes its mean squared norm 1, once centred.

    A statistic without variation gets 0.
    """
    squares = take_rows(statistics, rows).var(axis=0, dtype=np.float64)
    ends = np.cumsum(widths)
    norms = np.array(
        [squares[end - width : end].sum() for end, width in zip(ends, widths, strict=True)]
    )
    return np.divide(1, np.sqrt(norms), out=np.zeros_like(norms), where=norms > 0)
