"""Probes that have not seen a fold, solved at the penalties of the probe that has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kft.linear import (
    MAX_HELD,
    LinearTargets,
    Member,
    assign_folds,
    find_seen,
    sample_rows,
    solve_again,
    solve_linear,
    take_rows,
)
from kft.tasks.head import LOGITS
from kft.training.fitted import FittedPhase
from kft.training.phase_compiler import PhaseCompiler


class FoldHeads:
    """Folds of a probe's examples, and the probes that have not seen them.

    Args:
        compiler: Compiler of the run's phases.
        probe: Result of the solved phase.
        count: Number of folds; there are fewer if there are fewer units of examples.

    Attributes:
        folds: Fold (examples,) of each example, int64. Groups, and examples that look the same,
            are in one fold.
        seen: Whether the class of each example occurs outside of its fold, bool (examples,).
    """

    def __init__(self, compiler: PhaseCompiler, probe: FittedPhase, count: int) -> None:
        self._compiler = compiler
        self._probe = probe
        config, head = compiler.config, compiler.assembled.head
        examples = compiler.feed.examples(probe.phase)
        terms = head.make_terms(config, examples.targets)
        targets = head.state_linear(config, terms, examples.targets)
        self._targets: LinearTargets = replace(targets, groups=examples.units)
        assert head.task.linear is not None, "the probe was solved"
        self._loss = head.task.linear
        self.folds = assign_folds(self._targets, self._loss, config.seed, count)
        self.seen = find_seen(self._loss.find_classes(targets.dense), self.folds)

    @property
    def count(self) -> int:
        """Number of folds."""
        return int(self.folds.max()) + 1

    def put(self, fold: int) -> None:
        """Give the model the probe that was solved without a fold.

        It is solved on at most 8,000 examples, and without a new choice of penalties.
        """
        rows = np.flatnonzero(self.folds != fold)
        seed = self._compiler.config.seed
        few = rows[sample_rows(self._targets.take(rows), self._loss, seed, MAX_HELD)]
        vectors = take_rows(self._compiler.recall_vectors(self._probe.phase), few)
        solved = self._solve(vectors, self._targets.take(few), self._probe.facts["solution"])
        layer = self._compiler.assembled.model.get_layer(LOGITS)
        temperature = self._probe.temperature or 1.0
        for variable, values in zip((layer.kernel, layer.bias), solved, strict=True):
            cooled = (values / temperature).astype(np.float32)
            variable.assign(self._compiler.workers.copy(cooled))

    def _solve(
        self, vectors: np.ndarray, targets: LinearTargets, solution: Mapping[str, Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solve for kernel and bias."""
        assembled, seed = self._compiler.assembled, self._compiler.config.seed
        if not assembled.head.taps:
            solved = solve_linear(vectors, targets, self._loss, penalty=solution["penalty"])
            return solved.kernel, solved.bias
        widths = assembled.head.list_widths(assembled.model)
        members = [Member(**member) for member in solution["members"]]
        return solve_again(vectors, widths, targets, self._loss, members, seed=seed)
