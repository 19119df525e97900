"""Solution of a linear head, with a penalty chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kft.linear.folds import NUM_FOLDS, assign_folds, hold_out, sample_rows
from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.problem import MAX_HELD, Problem, State, take_rows

# Steps of half a decade, from a penalty at which the outputs are almost those of the prior.
PATH_FACTOR = 10**-0.5
MAX_PATH_STEPS = 16
# The path ends after this number of penalties in a row without improvement, but not before one was
# better than the first: with a few wide columns of noise, the loss rises before it falls.
PATIENCE = 2
# Number of rows for cross-validation, in all or per output, whichever is more. The penalty is the
# strength of a prior on the weights, which does not depend on the number of examples, so the best
# one for these rows is used for all.
CROSS_VALIDATED = 2_000
CROSS_VALIDATED_OF_EACH = 20
# Largest number of multiplications (features x outputs x rows of all folds) in one evaluation. Five
# folds of a larger problem would take minutes, so a single held-out part chooses the penalty there.
MAX_FOLDED_WORK = 2.5e9
# Four digits suffice to compare penalties. The final solution is optimal to float32 precision.
_PATH_TOLERANCE = 1e-4
_FINAL_TOLERANCE = 1e-7

# Called after each penalty of the path.
Progress = Callable[["Attempt"], None]


@dataclass(frozen=True)
class Attempt:
    """One penalty of the path, with its cross-validated loss and score.

    Attributes:
        penalty: Factor on the squared norm of the kernel.
        loss: Mean loss per example, by the fold that left it out.
        score: Mean score by the same folds: accuracy, or mean absolute error of numbers.
    """

    penalty: float
    loss: float
    score: float


@dataclass(frozen=True)
class Solution:
    """Linear head at the optimum of its objective.

    Attributes:
        kernel: Kernel, float32 (features, outputs).
        bias: Bias, float32 (outputs,).
        penalty: Penalty, given or chosen by cross-validation.
        path: Penalties that were tried, strongest first; empty if the penalty
            was given.
        num_cross_validated: Number of examples that the penalty was chosen on.
        num_judged: Number of these examples that were scored by a solution that had not seen
            them: all of them with folds, or one held-out part.
        out_of_fold: Logits, float32 (examples, outputs), of each example by a solution that had
            not seen it, at the chosen penalty; NaN for examples that no solution left out. None
            if the penalty was given.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    path: tuple[Attempt, ...]
    num_cross_validated: int
    num_judged: int
    out_of_fold: np.ndarray | None = None

    @property
    def best(self) -> Attempt:
        """Attempt with the chosen penalty."""
        return next(attempt for attempt in self.path if attempt.penalty == self.penalty)


@dataclass(frozen=True)
class CrossValidation:
    """Path of penalties, each judged on examples that its solutions had not seen.

    Attributes:
        rows: Examples that were used, ascending.
        problem: Problem of these examples.
        folds: Fold that left out each of them; -1 for none.
        path: All attempts, strongest penalty first.
        best: Attempt with the lowest loss.
        state: Solutions of all folds at the best penalty.
        logits: Logits (rows, outputs) of each row by the fold that left it out, at the best.
    """

    rows: np.ndarray
    problem: Problem
    folds: np.ndarray
    path: tuple[Attempt, ...]
    best: Attempt
    state: State
    logits: np.ndarray


def solve_linear(
    features: np.ndarray,
    targets: LinearTargets,
    loss: LinearLoss,
    *,
    factors: np.ndarray | None = None,
    penalty: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Solution:
    """Minimise the sum of losses plus penalty times the squared norm of the kernel.

    The bias is not penalised. The problem is preconditioned by the spectrum of
    the features. With fewer examples than features, it is solved in the span
    of the examples, which contains the solution. Memory-mapped features are
    read in blocks, so that memory does not grow with the number of examples.

    Args:
        features: Features (examples, features) of any float type, possibly memory-mapped.
        targets: Targets of the examples, with weights, offsets and groups.
        loss: Loss of the logits.
        factors: Factors (features,) on the columns, in whose units the kernel is penalised; the
            solution applies to the features as given. None for 1.
        penalty: Penalty; None to choose it by cross-validation.
        seed: Seed of the folds.
        progress: Called after each penalty that was tried.

    Source: Kornblith et al., Do Better ImageNet Models Transfer Better?,
    arXiv:1805.08974, for the objective.
    """
    if penalty is None:
        found = cross_validate(
            features, targets, loss, factors=factors, seed=seed, progress=progress
        )
        problem, folds = extend(found, features, targets, loss, factors=factors, seed=seed)
        return conclude(found, problem, folds)
    kernel, bias = solve_all(Problem(features, targets, loss, factors=factors), penalty)
    return Solution(kernel, bias, penalty, (), 0, 0)


def cross_validate(
    features: np.ndarray,
    targets: LinearTargets,
    loss: LinearLoss,
    *,
    factors: np.ndarray | None = None,
    most_rows: int = MAX_HELD,
    seed: int = 0,
    progress: Progress | None = None,
) -> CrossValidation:
    """Choose a penalty by cross-validation, on all examples or a stratified sample of them.

    Args:
        features: See `solve_linear`, as for all other arguments.
        targets: Targets of the examples.
        loss: Loss of the logits.
        factors: Factors on the columns.
        most_rows: Largest number of examples to use.
        seed: Seed of the sample and the folds.
        progress: Called after each penalty that was tried.
    """
    count = max(CROSS_VALIDATED, CROSS_VALIDATED_OF_EACH * targets.dense.shape[1])
    rows = sample_rows(targets, loss, seed, min(count, most_rows))
    few = targets.take(rows)
    problem = Problem(take_rows(features, rows), few, loss, factors=factors)
    folds = _assign_parts(problem, few, loss, seed)
    return _walk_path(rows, problem, folds, progress)


def solve_all(
    problem: Problem, penalty: float, start: State | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Solve for all rows of a problem; returns kernel (features, outputs) and bias (outputs,)."""
    mask = np.ones((1, len(problem)), bool)
    state = problem.solve(penalty, mask, start, tolerance=_FINAL_TOLERANCE)
    kernel, bias = problem.to_features(state)
    return kernel[0], bias[0]


def extend(
    found: CrossValidation,
    features: np.ndarray,
    targets: LinearTargets,
    loss: LinearLoss,
    *,
    factors: np.ndarray | None,
    seed: int,
) -> tuple[Problem, np.ndarray]:
    """Return the problem of all examples and their folds: those of `found` if it used them all."""
    if len(found.rows) == len(features):
        return found.problem, found.folds
    problem = Problem(features, targets, loss, factors=factors)
    return problem, _assign_parts(problem, targets, loss, seed)


def conclude(found: CrossValidation, problem: Problem, folds: np.ndarray) -> Solution:
    """Solve at the chosen penalty for all examples, and predict each without having seen it.

    Args:
        found: Penalty, and solutions to start from.
        problem: Problem of all examples, from `extend`.
        folds: Their folds.
    """
    state, logits = found.state, found.logits
    if problem is not found.problem:
        start = found.problem.to_features(_mean_of_folds(state))
        start = _repeat(problem.from_features(start), int(folds.max()) + 1)
        state = problem.solve(found.best.penalty, _masks(folds), start, tolerance=_PATH_TOLERANCE)
        logits = problem.predict_out_of_fold(state, folds)
    kernel, bias = solve_all(problem, found.best.penalty, _mean_of_folds(state))
    return Solution(
        kernel=kernel,
        bias=bias,
        penalty=found.best.penalty,
        path=found.path,
        num_cross_validated=len(found.rows),
        num_judged=int((found.folds >= 0).sum()),
        out_of_fold=logits,
    )


def _assign_parts(
    problem: Problem, targets: LinearTargets, loss: LinearLoss, seed: int
) -> np.ndarray:
    """Assign each example to the fold that leaves it out, (examples,); -1 for none.

    Large problems have a single held-out part instead of folds.
    """
    if problem.work * NUM_FOLDS <= MAX_FOLDED_WORK:
        return assign_folds(targets, loss, seed)
    return hold_out(targets, loss, seed)


def _walk_path(
    rows: np.ndarray, problem: Problem, folds: np.ndarray, progress: Progress | None
) -> CrossValidation:
    """Find the best penalty on the path from the largest one.

    All folds are solved at once. Each starts at an extrapolation of its solutions for the two
    previous penalties, which saves a third of the steps.
    """
    mask = _masks(folds)
    penalty = problem.largest_penalty
    path: list[Attempt] = []
    state: State | None = None
    start: State | None = None
    best: tuple[State, np.ndarray] | None = None
    best_at = 0
    for index in range(MAX_PATH_STEPS):
        before, state = state, problem.solve(penalty, mask, start, tolerance=_PATH_TOLERANCE)
        start = _extrapolate(before, state)
        logits = problem.predict_out_of_fold(state, folds)
        path.append(Attempt(penalty, *problem.score(logits, folds)))
        if progress is not None:
            progress(path[-1])
        if path[-1].loss <= path[best_at].loss:
            best, best_at = (state, logits), index
        elif best_at and index - best_at >= PATIENCE:
            break
        penalty *= PATH_FACTOR
    assert best is not None
    return CrossValidation(rows, problem, folds, tuple(path), path[best_at], *best)


def _masks(folds: np.ndarray) -> np.ndarray:
    """Make the mask (folds, rows) of the rows that each fold is fitted on."""
    return np.stack([folds != fold for fold in range(int(folds.max()) + 1)])


def _mean_of_folds(state: State) -> State:
    kernels, biases = state
    return kernels.mean(axis=0, keepdims=True), biases.mean(axis=0, keepdims=True)


def _repeat(state: State, count: int) -> State:
    kernels, biases = state
    return kernels.repeat(count, axis=0), biases.repeat(count, axis=0)


def _extrapolate(before: State | None, now: State) -> State:
    """Extrapolate linearly from two solutions to the next."""
    if before is None:
        return now
    kernels, biases = (2 * last - first for first, last in zip(before, now, strict=True))
    return kernels, biases
