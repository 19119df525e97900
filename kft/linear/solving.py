"""Solution of a linear head, with a penalty chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.problem import MAX_HELD, Problem, State, take_rows

NUM_FOLDS = 5
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
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    path: tuple[Attempt, ...]
    num_cross_validated: int
    num_judged: int

    @property
    def best(self) -> Attempt:
        """Attempt with the chosen penalty."""
        return next(attempt for attempt in self.path if attempt.penalty == self.penalty)


def solve_linear(
    features: np.ndarray,
    targets: LinearTargets,
    loss: LinearLoss,
    *,
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
        targets: Targets of the examples, with weights and offsets.
        loss: Loss of the logits.
        penalty: Penalty; None to choose it by cross-validation.
        seed: Seed of the folds.
        progress: Called after each penalty that was tried.

    Source: Kornblith et al., Do Better ImageNet Models Transfer Better?,
    arXiv:1805.08974, for the objective.
    """
    dense, weights, offsets = targets.dense, targets.weights, targets.offsets
    examples = np.ones(len(features), np.float32) if weights is None else weights
    shift = np.zeros(dense.shape[1], np.float32) if offsets is None else offsets
    path: tuple[Attempt, ...] = ()
    start, problem, num_chosen, num_judged = None, None, 0, 0
    if penalty is None:
        chosen = _choose_rows(dense, loss, seed)
        num_chosen = len(chosen)
        part = take_rows(features, chosen)
        problem = Problem(part, dense[chosen], loss, examples[chosen], shift)
        folds = _assign_parts(problem, dense[chosen], loss, seed)
        num_judged = int((folds >= 0).sum())
        penalty, path, start = _walk_path(problem, folds, progress)
    if num_chosen < len(features):
        problem = Problem(features, dense, loss, examples, shift)
    assert problem is not None
    mask = np.ones((1, len(features)), bool)
    kernel, bias = problem.solve(penalty, mask, start, tolerance=_FINAL_TOLERANCE)
    return Solution(kernel[0], bias[0], penalty, path, num_chosen, num_judged)


def cross_validate(
    features: np.ndarray, targets: np.ndarray, loss: LinearLoss, seed: int = 0
) -> Attempt:
    """Cross-validate a linear head and return the attempt with the best penalty."""
    chosen = _choose_rows(targets, loss, seed)
    ones = np.ones(len(chosen), np.float32)
    part, dense = take_rows(features, chosen), targets[chosen]
    problem = Problem(part, dense, loss, ones, np.zeros(targets.shape[1], np.float32))
    penalty, path, _ = _walk_path(problem, _assign_parts(problem, dense, loss, seed))
    return next(attempt for attempt in path if attempt.penalty == penalty)


def _assign_parts(problem: Problem, targets: np.ndarray, loss: LinearLoss, seed: int) -> np.ndarray:
    """Assign each example to the fold that leaves it out, (examples,); -1 for none.

    Large problems have a single held-out part instead of folds.
    """
    if problem.work * NUM_FOLDS <= MAX_FOLDED_WORK:
        return assign_folds(targets, loss, seed)
    return hold_out(targets, loss, seed)


def assign_folds(targets: np.ndarray, loss: LinearLoss, seed: int) -> np.ndarray:
    """Assign each example to a fold, (examples,), with classes spread evenly over the folds."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(targets))
    classes = loss.find_classes(targets)
    if classes is not None:
        # Examples are sorted by class and assigned to the folds in turn.
        order = order[np.argsort(classes[order], kind="stable")]
    folds = np.empty(len(targets), np.int64)
    folds[order] = np.arange(len(targets)) % min(NUM_FOLDS, len(targets))
    return folds


def hold_out(targets: np.ndarray, loss: LinearLoss, seed: int) -> np.ndarray:
    """Hold out a random part of the examples, as large as a fold: 0 if held out, else -1.

    At least one example of each class is not held out, because a solution that has not seen a
    class cannot predict it.

    Returns:
        Parts, int64 (examples,).
    """
    order = np.random.default_rng(seed).permutation(len(targets))
    count = max(1, len(targets) // NUM_FOLDS)
    classes = loss.find_classes(targets)
    if classes is not None:
        _, first = np.unique(classes[order], return_index=True)
        spare = np.delete(order, first)
        order = spare if len(spare) else order
    parts = np.full(len(targets), -1, np.int64)
    parts[order[:count]] = 0
    return parts


def _choose_rows(targets: np.ndarray, loss: LinearLoss, seed: int) -> np.ndarray:
    """Choose the rows for cross-validation: all, or a stratified sample of them."""
    count = min(max(CROSS_VALIDATED, CROSS_VALIDATED_OF_EACH * targets.shape[1]), MAX_HELD)
    if len(targets) <= count:
        return np.arange(len(targets))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(targets))
    classes = loss.find_classes(targets)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    picks = np.linspace(0, len(targets) - 1, count).astype(int)
    return np.sort(order[picks])


def _walk_path(
    problem: Problem, folds: np.ndarray, progress: Progress | None = None
) -> tuple[float, tuple[Attempt, ...], State]:
    """Find the best penalty, all attempts, and the mean of the folds' solutions at the best.

    All folds are solved at once. Each starts at an extrapolation of its solutions for the two
    previous penalties, which saves a third of the steps.
    """
    mask = np.stack([folds != fold for fold in range(int(folds.max()) + 1)])
    penalty = problem.largest_penalty
    path: list[Attempt] = []
    state: State | None = None
    start: State | None = None
    best: State | None = None
    best_at = 0
    for index in range(MAX_PATH_STEPS):
        before, state = state, problem.solve(penalty, mask, start, tolerance=_PATH_TOLERANCE)
        start = _extrapolate(before, state)
        path.append(Attempt(penalty, *problem.score(state, folds)))
        if progress is not None:
            progress(path[-1])
        if path[-1].loss <= path[best_at].loss:
            kernels, biases = state
            best = (kernels.mean(axis=0, keepdims=True), biases.mean(axis=0, keepdims=True))
            best_at = index
        elif best_at and index - best_at >= PATIENCE:
            break
        penalty *= PATH_FACTOR
    assert best is not None
    return path[best_at].penalty, tuple(path), best


def _extrapolate(before: State | None, now: State) -> State:
    """Extrapolate linearly from two solutions to the next."""
    if before is None:
        return now
    kernels, biases = (2 * last - first for first, last in zip(before, now, strict=True))
    return kernels, biases
