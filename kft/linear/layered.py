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
from kft.linear.members import LayeredSolution, Member
from kft.linear.problem import MAX_HELD, Problem, take_rows
from kft.linear.solving import (
    CROSS_VALIDATED,
    CrossValidation,
    Progress,
    conclude,
    cross_validate,
    extend,
    solve_all,
)

# Number of examples, in all or ten per output, whichever is more, on which heads are compared; at
# most as many as penalties are cross-validated on.
COMPARED = 1_000
# Weights of a block relative to the next deeper one: 0 reads the last block alone, 1 all alike.
# Blends of these are as good as blends of more.
GAMMAS = (0.0, 0.7, 1.0)


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
        Member(each.gamma, each.method, float(weight), *each.penalties, *judged)
        for each, weight, judged in zip(candidates, weights, scores, strict=True)
    )
    return LayeredSolution(kernel, bias, members, *blended, len(folds), out_of_fold)


def solve_again(
    statistics: np.ndarray,
    blocks: Sequence[Sequence[int]],
    targets: LinearTargets,
    loss: LinearLoss,
    members: Sequence[Member],
    *,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve for the same blend of heads on other examples, at the penalties chosen before.

    Args:
        statistics: Statistics of all blocks; see `solve_layered`, as for the next arguments.
        blocks: Widths of the statistics.
        targets: Targets of the examples.
        loss: Loss of the logits.
        members: Members of a solution.
        seed: Seed of the folds.

    Returns:
        Kernel (columns, outputs) and bias (outputs,).
    """
    given = _Given(statistics, blocks, targets, loss, seed)
    chosen = [member for member in members if member.weight]
    heads: list[tuple[np.ndarray, np.ndarray]] = []
    for gamma, group in itertools.groupby(chosen, lambda member: member.gamma):
        problem = Problem(statistics, targets, loss, factors=given.factors(gamma))
        heads += [given.solve(problem, member) for member in group]
    weights = [member.weight for member in chosen]
    kernel, bias = (_mix(weights, part) for part in zip(*heads, strict=True))
    return kernel, bias


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
    def penalties(self) -> tuple[float, float | None]:
        """Penalty and shrinkage; see `Member`."""
        if self.discriminant is None:
            return self.found.best.penalty, None
        return self.discriminant.penalty, self.discriminant.shrinkage

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
                other = self._fit_discriminant(problem, other.penalty, other.shrinkage)
            heads.append((other.kernel, other.bias, other.logits))
        return heads

    def solve(self, problem: Problem, member: Member) -> tuple[np.ndarray, np.ndarray]:
        """Fit one head to all examples; returns kernel and bias."""
        if member.shrinkage is None:
            return solve_all(problem, member.penalty)
        found = self._fit_discriminant(problem, member.penalty, member.shrinkage)
        return found.kernel, found.bias

    def _fit_discriminant(self, problem: Problem, penalty: float, shrinkage: float) -> Discriminant:
        folds = assign_folds(self.targets, self.loss, self.seed)
        return fit_discriminant(
            problem,
            self.targets,
            self.loss,
            folds,
            penalties=[penalty],
            shrinkages=[shrinkage],
        )


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
