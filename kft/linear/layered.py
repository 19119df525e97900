"""Linear head on statistics of several blocks, weighted by their distance from the last block."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kft.linear.blending import blend_weights
from kft.linear.discriminant import Discriminant, fit_discriminant
from kft.linear.folds import assign_folds, sample_rows
from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.problem import MAX_HELD, take_rows
from kft.linear.solving import (
    CROSS_VALIDATED,
    CrossValidation,
    Progress,
    conclude,
    cross_validate,
    extend,
)

# Number of examples, in all or ten per output, whichever is more, on which heads are compared; at
# most as many as penalties are cross-validated on.
COMPARED = 1_000
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
    cross-validated loss, is one linear head again. Penalties and weights are chosen on a sample if
    there are many examples; with more than can be held in memory, the best solved head is alone.

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
    given = _Given(statistics, blocks, targets, loss, seed)
    candidates = [each for gamma in gammas for each in given.compare(gamma, progress)]
    problem, folds = candidates[0].found.problem, candidates[0].found.folds
    scores = [problem.score(each.logits, folds) for each in candidates]
    if len(statistics) <= MAX_HELD:
        weights = blend_weights([each.logits for each in candidates], problem, folds)
    else:
        # Discriminants need all examples in memory, and each further member takes long to solve.
        solved = [each.discriminant is None for each in candidates]
        losses = np.where(solved, [mean_loss for mean_loss, _ in scores], np.inf)
        weights = np.eye(len(candidates))[losses.argmin()]
    blended = problem.score(_mix(weights, [each.logits for each in candidates]), folds)
    chosen = np.flatnonzero(weights)
    heads: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for _, group in itertools.groupby((candidates[at] for at in chosen), lambda each: each.gamma):
        heads += given.finish(list(group))
    kernel, bias, out_of_fold = (_mix(weights[chosen], part) for part in zip(*heads, strict=True))
    members = tuple(
        Member(each.gamma, each.method, float(weight), *judged)
        for each, weight, judged in zip(candidates, weights, scores, strict=True)
    )
    return LayeredSolution(kernel, bias, members, *blended, len(folds), out_of_fold)


@dataclass(frozen=True)
class _Candidate:
    """Head on a sample of the examples, which may take part in the blend."""

    gamma: float
    found: CrossValidation
    discriminant: Discriminant | None = None

    @property
    def method(self) -> str:
        return "solved" if self.discriminant is None else "discriminant"

    @property
    def logits(self) -> np.ndarray:
        return self.found.logits if self.discriminant is None else self.discriminant.logits


class _Given:
    """Statistics of all blocks, with the targets."""

    def __init__(
        self,
        statistics: np.ndarray,
        blocks: Sequence[Sequence[int]],
        targets: LinearTargets,
        loss: LinearLoss,
        seed: int,
    ) -> None:
        self.statistics = statistics
        self.targets = targets
        self.loss = loss
        self.seed = seed
        self._widths = [width for block in blocks for width in block]
        self._distances = np.array(
            [len(blocks) - 1 - at for at, block in enumerate(blocks) for _ in block]
        )
        sample = sample_rows(targets, loss, seed, CROSS_VALIDATED)
        self._scales = _find_scales(statistics, self._widths, sample)

    def factors(self, gamma: float) -> np.ndarray:
        """Compute the factor of each column, (columns,)."""
        return np.repeat(self._scales * gamma**self._distances, self._widths)

    def compare(self, gamma: float, progress: Progress | None) -> list[_Candidate]:
        """Fit the heads for one gamma to a sample of the examples."""
        found = cross_validate(
            self.statistics,
            self.targets,
            self.loss,
            factors=self.factors(gamma),
            most_rows=min(CROSS_VALIDATED, max(COMPARED, 10 * self.targets.dense.shape[1])),
            seed=self.seed,
            progress=progress,
        )
        few = self.targets.take(found.rows)
        if self.loss.find_classes(few.dense) is None:
            return [_Candidate(gamma, found)]
        folds = assign_folds(few, self.loss, self.seed)
        discriminant = fit_discriminant(found.problem, few, self.loss, folds)
        return [_Candidate(gamma, found), _Candidate(gamma, found, discriminant)]

    def finish(
        self, candidates: Sequence[_Candidate]
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Fit heads of one gamma to all examples.

        Returns:
            Kernel, bias and out-of-fold logits of each.
        """
        found, gamma = candidates[0].found, candidates[0].gamma
        problem, folds = extend(
            found,
            self.statistics,
            self.targets,
            self.loss,
            factors=self.factors(gamma),
            seed=self.seed,
        )
        heads = []
        for each in candidates:
            other = each.discriminant
            if other is None:
                head = conclude(found, problem, folds)
                assert head.out_of_fold is not None
                heads.append((head.kernel, head.bias, head.out_of_fold))
                continue
            if problem is not found.problem:
                other = fit_discriminant(
                    problem,
                    self.targets,
                    self.loss,
                    assign_folds(self.targets, self.loss, self.seed),
                    penalties=[other.penalty],
                    shrinkages=[other.shrinkage],
                )
            heads.append((other.kernel, other.bias, other.logits))
        return heads


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
