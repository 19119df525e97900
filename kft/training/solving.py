"""Solved phase: the optimum of a linear head on stored features."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from kft.config import TrainingConfig
from kft.figures import format_figure
from kft.linear import (
    Attempt,
    LayeredSolution,
    LinearLoss,
    Solution,
    solve_layered,
    solve_linear,
)
from kft.model import Assembled
from kft.runs.unseen_answers import UnseenAnswers
from kft.strategies import Phase
from kft.tasks.head import LOGITS, Head
from kft.training.fitted import FittedPhase, PhaseReport
from kft.training.movement import check_movement
from kft.training.temperature import divide_logits, write_cooled
from kft.workers import ALONE, Workers


def solve_phase(
    assembled: Assembled,
    phase: Phase,
    config: TrainingConfig,
    find_vectors: Callable[[Phase], np.ndarray],
    *,
    learned_targets: np.ndarray,
    find_targets: Callable[[Phase], np.ndarray] | None = None,
    units: np.ndarray | None = None,
    report: PhaseReport,
    workers: Workers = ALONE,
) -> FittedPhase:
    """Solve for the head, and check that nothing else changed.

    Args:
        assembled: The model; the weights of its head change.
        phase: Phase whose head has one layer.
        config: The pipeline's `training` section, which defines the loss.
        find_vectors: Function that returns the feature vectors (examples,
            features) that the phase trains on, called once the flags are set.
        learned_targets: Targets of these examples, as returned by
            `Head.standardise`.
        find_targets: Function that reads the targets of these examples from
            their files; None if they are all in `learned_targets`.
        units: Unit of each example, see `Examples.units`.
        report: Report for phase.json and the progress.
        workers: All processes that solve; all use the solution of the chief.

    Raises:
        ConfigError: A setting does not fit the targets.
        TrainingError: A variable outside the head changed.
    """
    begun = time.monotonic()
    assembled.blocks.set_trainable(phase.scope.trainable, batch_norm=phase.scope.batch_norm)
    before = assembled.blocks.digests()
    head = assembled.head
    terms = head.make_terms(config, learned_targets)
    loss = head.task.linear
    assert loss is not None, "strategies only solve tasks with a linear problem"
    assert head.vector_layer is not None, "a solved head reads one layer"
    vectors = find_vectors(phase)
    read = learned_targets if find_targets is None else find_targets(phase)
    rows = head.find_rows(vectors, read, units, seed=config.seed)
    with report.display.track(f"{report.title}, solved") as advance:
        tried = itertools.count(1)

        def show_attempt(attempt: Attempt) -> None:
            """Show each penalty, because with many classes each takes a while."""
            loss = f"cross-validated loss {format_figure(attempt.loss)}"
            advance(next(tried), note=f"(penalty {format_figure(attempt.penalty)}, {loss})")

        targets = replace(head.state_linear(config, terms, rows.targets), groups=rows.units)
        solved: Solution | LayeredSolution
        if head.taps:
            widths = head.list_widths(assembled.model)
            solved = solve_layered(
                rows.vectors, widths, targets, loss, seed=config.seed, progress=show_attempt
            )
        else:
            solved = solve_linear(
                rows.vectors, targets, loss, seed=config.seed, progress=show_attempt
            )
        count = next(tried) - 1
        said = _say(solved, loss, len(rows.vectors))
        advance(count, total=count, note=f"({said}{rows.describe()})")
    facts: dict[str, Any] = {"solution": {**_describe(solved, head.taps), **rows.facts()}}
    layer = assembled.model.get_layer(LOGITS)
    kernel = workers.copy(np.asarray(solved.kernel, np.float32))
    layer.kernel.assign(kernel.reshape(layer.kernel.shape))
    layer.bias.assign(workers.copy(np.asarray(solved.bias, np.float32)))
    if head.reads_vectors:
        unseen = _find_unseen(head, solved, learned_targets)
        temperature = write_cooled(head, unseen, report.folder)
        if temperature is not None:
            facts["temperature"] = workers.broadcast_from_chief(lambda: temperature)
            divide_logits(assembled.model, facts["temperature"])
    unmoved = check_movement(phase, before, assembled.blocks)
    fitted = FittedPhase(
        phase,
        history=[],
        seconds=time.monotonic() - begun,
        computed_from=head.vector_layer,
        unmoved=unmoved,
        facts=facts,
    )
    report.write(fitted)
    return fitted


def _find_unseen(
    head: Head, solved: Solution | LayeredSolution, targets: np.ndarray
) -> UnseenAnswers:
    """Find the answers of heads that had not seen the example."""
    assert solved.out_of_fold is not None, "the penalty was chosen, so there are folds"
    judged = np.isfinite(solved.out_of_fold).all(axis=1)
    return UnseenAnswers(np.asarray(head.activate(solved.out_of_fold[judged])), targets[judged])


def _say(solved: Solution | LayeredSolution, loss: LinearLoss, num_examples: int) -> str:
    count = solved.num_cross_validated
    if isinstance(solved, LayeredSolution):
        gammas = {member.gamma for member in solved.members if member.weight}
        what = "reads the last block" if gammas == {0.0} else "reads every block"
        num_judged, score = count, solved.score
    else:
        what = f"penalty {solved.penalty:.3g}"
        num_judged, score = solved.num_judged, solved.best.score
    how = "cross-validated" if num_judged == count else f"on {num_judged} held-out examples,"
    where = f" on {count} of {num_examples}" if count < num_examples else ""
    return f"{what}, {how} {loss.score_name}{where} {loss.format_score(score)}"


def _describe(solved: Solution | LayeredSolution, taps: tuple[str, ...]) -> dict[str, Any]:
    if isinstance(solved, LayeredSolution):
        return {
            "taps": list(taps),
            "num_cross_validated": solved.num_cross_validated,
            "loss": solved.loss,
            "score": solved.score,
            "members": [asdict(member) for member in solved.members],
        }
    return {
        "penalty": solved.penalty,
        "loss": solved.best.loss,
        "score": solved.best.score,
        "num_cross_validated": solved.num_cross_validated,
        "num_judged": solved.num_judged,
        "path": [asdict(attempt) for attempt in solved.path],
    }
