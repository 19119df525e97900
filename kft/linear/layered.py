"""Linear head on statistics of several blocks, weighted by their distance from the last block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kft.linear.blending import blend_weights
from kft.linear.discriminant import Discriminant, fit_discriminant
from kft.linear.folds import sample_rows
from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.problem import MAX_HELD, take_rows
from kft.linear.solving import (
    CROSS_VALIDATED,
    CrossValidation,
    Progress,
    conclude,
    count_cross_validated,
    cross_validate,
)

# Weights of a block relative to the next deeper one: 0 reads the last block alone, 1 all alike.
# Blends of these are as good as blends of more.
GAMMAS = (0.0, 0.7, 1.0)


@dataclass(frozen=True)
class Member:
    """Head that takes part in a blend.

    Attributes:
        gamma: Weight of a block relative to the next deeper one.
        method: 'solved' for the optimum of the loss, 'discriminant' for linear discriminants.
        weight: Weight in the blend.
        loss: Mean loss per example, by heads that had not seen it.
        score: Mean score by the same heads.
    """

    gamma: float
    method: str
    weight: float
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
    """Solve for a linear head on all blocks, chosen by cross-validated loss.

    Each statistic is centred, scaled to a mean squared norm of 1 and multiplied by gamma to the
    power of the number of blocks from the last. For each gamma there is the head at the optimum of
    the loss and, for classes, one of linear discriminants. Their mean, weighted for the lowest
    cross-validated loss, is one linear head again. With too many examples for that, the best
    solved head is used alone.

    Args:
        statistics: Statistics of all blocks side by side, (examples, columns), of any float type,
            possibly memory-mapped.
        blocks: For each block, shallow to deep, the widths of its statistics, such as means and
            deviations over positions; in the order of the columns.
        targets: Targets of the examples, with weights, offsets and groups.
        loss: Loss of the logits.
        gammas: Values of gamma to blend.
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

    candidates: list[_Candidate] = []
    for gamma in gammas:
        found = try_gamma(gamma, CROSS_VALIDATED)
        candidates.append(_Candidate(gamma, found))
        if len(found.rows) == len(statistics) and _has_discriminants(found, targets, loss):
            other = fit_discriminant(found.problem, targets, loss, found.folds)
            candidates.append(_Candidate(gamma, found, other))
    sample, folds = candidates[0].found.rows, candidates[0].found.folds
    problem = candidates[0].found.problem
    scores = [problem.score(each.logits, folds) for each in candidates]
    if len(sample) == len(statistics):
        weights = blend_weights([each.logits for each in candidates], problem, folds)
    else:
        # Each member of a blend would have to be solved on all examples.
        weights = np.eye(len(candidates))[np.argmin([mean_loss for mean_loss, _ in scores])]
    blended = problem.score(_mix(weights, [each.logits for each in candidates]), folds)
    chosen = [(weight, each) for weight, each in zip(weights, candidates, strict=True) if weight]
    if len(sample) < count_cross_validated(targets):
        chosen = [
            (1.0, _Candidate(each.gamma, try_gamma(each.gamma, MAX_HELD))) for _, each in chosen
        ]
    heads = [
        each.finish(statistics, targets, loss, factors=make_factors(each.gamma), seed=seed)
        for _, each in chosen
    ]
    kernel, bias, out_of_fold = (
        _mix([weight for weight, _ in chosen], parts) for parts in zip(*heads, strict=True)
    )
    members = tuple(
        Member(each.gamma, each.method, float(weight), *judged)
        for each, weight, judged in zip(candidates, weights, scores, strict=True)
    )
    return LayeredSolution(kernel, bias, members, *blended, len(sample), out_of_fold)


@dataclass(frozen=True)
class _Candidate:
    """Head that may take part in the blend."""

    gamma: float
    found: CrossValidation
    discriminant: Discriminant | None = None

    @property
    def method(self) -> str:
        return "solved" if self.discriminant is None else "discriminant"

    @property
    def logits(self) -> np.ndarray:
        return self.found.logits if self.discriminant is None else self.discriminant.logits

    def finish(
        self, statistics: np.ndarray, targets: LinearTargets, loss: LinearLoss, **options: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return kernel, bias and out-of-fold logits for all examples."""
        if self.discriminant is not None:
            return self.discriminant.kernel, self.discriminant.bias, self.discriminant.logits
        head = conclude(self.found, statistics, targets, loss, **options)
        assert head.out_of_fold is not None
        return head.kernel, head.bias, head.out_of_fold


def _has_discriminants(found: CrossValidation, targets: LinearTargets, loss: LinearLoss) -> bool:
    """Tell whether there are classes, each example was left out once, and no group is alone."""
    return loss.find_classes(targets.dense) is not None and int(found.folds.min()) >= 0


def _mix(weights: Sequence[float] | np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Compute a weighted sum, float32."""
    mixed: np.ndarray = np.tensordot(np.asarray(weights, np.float32), np.stack(parts), 1)
    return mixed


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
