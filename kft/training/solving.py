"""A phase that is solved: the linear head at its optimum on the stored features."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kft.config import TrainingConfig
from kft.figures import format_figure
from kft.linear import Attempt, LinearLoss, Solution, solve_linear
from kft.model import Assembled
from kft.strategies import Phase
from kft.tasks.head import LOGITS
from kft.training.fitted import FittedPhase, PhaseReport
from kft.training.movement import check_movement
from kft.workers import ALONE, Workers


def solve_phase(
    assembled: Assembled,
    phase: Phase,
    config: TrainingConfig,
    find_vectors: Callable[[Phase], np.ndarray],
    *,
    learnt_targets: np.ndarray,
    report: PhaseReport,
    workers: Workers = ALONE,
) -> FittedPhase:
    """Put the optimum of the head's objective into the head, and prove that only it moved.

    Args:
        assembled: The model; the weights of its head change.
        phase: What is solved, a head of one layer.
        config: The pipeline's `training` section: what the loss is made of.
        find_vectors: Gives the feature vectors (examples, features) of what
            the phase learns from, once the flags are set.
        learnt_targets: Of these examples, as `Head.standardise` gives them.
        report: Where phase.json and the progress go.
        workers: All processes that solve it; they go by what the chief finds.

    Raises:
        ConfigError: A setting does not fit the targets.
        TrainingError: Something else than the head moved.
    """
    begun = time.monotonic()
    assembled.blocks.set_trainable(phase.scope.trainable, batch_norm=phase.scope.batch_norm)
    before = assembled.blocks.digests()
    head = assembled.head
    terms = head.make_terms(config, learnt_targets)
    loss = head.task.linear
    assert loss is not None, "a strategy solves what can be solved"
    vectors = find_vectors(phase)
    with report.display.track(f"{report.title}, solved") as advance:
        tried = itertools.count(1)

        def tell(attempt: Attempt) -> None:
            """A line for each penalty: of many classes, each takes its time."""
            loss = f"cross-validated loss {format_figure(attempt.loss)}"
            advance(next(tried), note=f"(penalty {format_figure(attempt.penalty)}, {loss})")

        solution = solve_linear(
            vectors,
            head.state_linear(config, terms, learnt_targets),
            loss,
            seed=config.seed,
            told=tell,
        )
        advance(
            len(solution.path),
            total=len(solution.path),
            note=f"({_say(solution, loss, len(vectors))})",
        )
    layer = assembled.model.get_layer(LOGITS)
    layer.kernel.assign(workers.copy(np.asarray(solution.kernel, np.float32)))
    layer.bias.assign(workers.copy(np.asarray(solution.bias, np.float32)))
    unmoved = check_movement(phase, before, assembled.blocks)
    fitted = FittedPhase(
        phase,
        history=[],
        seconds=time.monotonic() - begun,
        computed_from="feature_vector",
        unmoved=unmoved,
        facts={"solution": _describe(solution)},
    )
    report.write(fitted)
    return fitted


def _say(solution: Solution, loss: LinearLoss, num_examples: int) -> str:
    count, num_judged = solution.num_cross_validated, solution.num_judged
    how = "cross-validated" if num_judged == count else f"on {num_judged} held out for it,"
    where = f" on {count} of {num_examples}" if count < num_examples else ""
    score = f"{loss.score_name}{where} {loss.format_score(solution.best.score)}"
    return f"penalty {solution.penalty:.3g}, {how} {score}"


def _describe(solution: Solution) -> dict[str, Any]:
    return {
        "penalty": solution.penalty,
        "num_cross_validated": solution.num_cross_validated,
        "num_judged": solution.num_judged,
        "path": [
            {"penalty": attempt.penalty, "loss": attempt.loss, "score": attempt.score}
            for attempt in solution.path
        ],
    }
