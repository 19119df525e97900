"""The linear head at its optimum, its penalty chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.problem import MAX_HELD, Problem, State, take_rows

NUM_FOLDS = 5
# Half a decade a step, from where the solution is almost the prior.
PATH_FACTOR = 10**-0.5
MAX_PATH_STEPS = 16
# The path ends after so many penalties in a row without a better one, once one was better than the
# first: a few wide columns of noise raise the loss before what the others hold lets it fall.
PATIENCE = 2
# Rows that cross-validation looks at: so many, or so many of each output. A penalty is the strength
# of a prior on the weights, which more examples leave as it is: what is best for these serves all.
CROSS_VALIDATED = 2_000
CROSS_VALIDATED_OF_EACH = 20
# Products of features, outputs and rows of all folds in one evaluation. Five folds of more would
# take minutes: one part of the rows, held out, then chooses the penalty.
MAX_FOLDED_WORK = 2.5e9
# The folds are judged as well by solutions to four places; the answer is the optimum of float32.
_PATH_TOLERANCE = 1e-4
_FINAL_TOLERANCE = 1e-7

# Called after each penalty of the path.
Told = Callable[["Attempt"], None]


@dataclass(frozen=True)
class Attempt:
    """One penalty of the path.

    Attributes:
        penalty: Factor on the squared norm of the kernel.
        loss: Mean loss of an example on the fold that did not see it.
        score: The mean score of the loss there: accuracy, or the mean absolute error of numbers.
    """

    penalty: float
    loss: float
    score: float


@dataclass(frozen=True)
class Solution:
    """A linear head at the optimum of its objective.

    Attributes:
        kernel: float32 (features, outputs).
        bias: float32 (outputs,).
        penalty: The one that cross-validation chose.
        path: What was tried, strongest penalty first; empty where the
            penalty was given.
        num_cross_validated: Examples that the penalty was chosen on.
        num_judged: Those of them that a solution which had not seen them answered: all of them,
            each by its fold, or one held-out part.
    """

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    path: tuple[Attempt, ...]
    num_cross_validated: int
    num_judged: int

    @property
    def best(self) -> Attempt:
        """The attempt whose penalty was chosen."""
        return next(attempt for attempt in self.path if attempt.penalty == self.penalty)


def solve_linear(
    features: np.ndarray,
    targets: LinearTargets,
    loss: LinearLoss,
    *,
    penalty: float | None = None,
    seed: int = 0,
    told: Told | None = None,
) -> Solution:
    """Minimise the sum of losses plus penalty times the squared norm of the kernel.

    The bias is not penalised.
    The problem is preconditioned by the spectrum of the features: with fewer
    examples than features it is solved in the span of the examples, which
    holds the same solution. Features that lie on a disk are read in blocks,
    so that memory does not grow with the examples.

    Args:
        features: (examples, features), of any float type, possibly memory-mapped.
        targets: Of the examples, with what the loss adds to each.
        loss: Of the logits.
        penalty: None to choose it by cross-validation.
        seed: Of the folds.
        told: Hears of each penalty that was tried.

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
        penalty, path, start = _walk_path(problem, folds, told)
    if num_chosen < len(features):
        problem = Problem(features, dense, loss, examples, shift)
    assert problem is not None
    mask = np.ones((1, len(features)), bool)
    kernel, bias = problem.solve(penalty, mask, start, tolerance=_FINAL_TOLERANCE)
    return Solution(kernel[0], bias[0], penalty, path, num_chosen, num_judged)


def cross_validate(
    features: np.ndarray, targets: np.ndarray, loss: LinearLoss, seed: int = 0
) -> Attempt:
    """How well the best linear head on these features does on examples it did not see."""
    chosen = _choose_rows(targets, loss, seed)
    ones = np.ones(len(chosen), np.float32)
    part, dense = take_rows(features, chosen), targets[chosen]
    problem = Problem(part, dense, loss, ones, np.zeros(targets.shape[1], np.float32))
    penalty, path, _ = _walk_path(problem, _assign_parts(problem, dense, loss, seed))
    return next(attempt for attempt in path if attempt.penalty == penalty)


def _assign_parts(problem: Problem, targets: np.ndarray, loss: LinearLoss, seed: int) -> np.ndarray:
    """Fold that leaves each example out, (examples,); -1 where none does, of large problems."""
    if problem.work * NUM_FOLDS <= MAX_FOLDED_WORK:
        return assign_folds(targets, loss, seed)
    return hold_out(targets, loss, seed)


def assign_folds(targets: np.ndarray, loss: LinearLoss, seed: int) -> np.ndarray:
    """Fold of each example, (examples,): classes are spread evenly over the folds."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(targets))
    classes = loss.find_classes(targets)
    if classes is not None:
        # Sorted by class and dealt out in turn.
        order = order[np.argsort(classes[order], kind="stable")]
    folds = np.empty(len(targets), np.int64)
    folds[order] = np.arange(len(targets)) % min(NUM_FOLDS, len(targets))
    return folds


def hold_out(targets: np.ndarray, loss: LinearLoss, seed: int) -> np.ndarray:
    """0 for a part of the examples to judge on, -1 for the others: (examples,).

    As many as a fold holds, drawn at random; of each class one at least is not among them, since
    nothing can be said of a class by a solution that has seen none of it.
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
    """All rows, or as many as cross-validation looks at, with every class in its share."""
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
    problem: Problem, folds: np.ndarray, told: Told | None = None
) -> tuple[float, tuple[Attempt, ...], State]:
    """The best penalty, all that were tried, and the mean of the folds' solutions there.

    All folds are solved at once. Each begins where its solutions at the two penalties before
    lead to, which spares a third of the steps.
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
        start = _continue_line(before, state)
        path.append(Attempt(penalty, *problem.judge(state, folds)))
        if told is not None:
            told(path[-1])
        if path[-1].loss <= path[best_at].loss:
            kernels, biases = state
            best = (kernels.mean(axis=0, keepdims=True), biases.mean(axis=0, keepdims=True))
            best_at = index
        elif best_at and index - best_at >= PATIENCE:
            break
        penalty *= PATH_FACTOR
    assert best is not None
    return path[best_at].penalty, tuple(path), best


def _continue_line(before: State | None, now: State) -> State:
    """As far beyond the last of two solutions as it is beyond the first."""
    if before is None:
        return now
    kernels, biases = (2 * last - first for first, last in zip(before, now, strict=True))
    return kernels, biases
