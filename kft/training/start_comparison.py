"""Comparison of a phase's weights with its start weights on validation."""

from __future__ import annotations

import numpy as np

from kft.features import Forward
from kft.feeding.phase_input import PhaseInput
from kft.selection.averaging import ValidationScore, ValidationScorer
from kft.selection.comparison import Comparison, compare
from kft.training.compiled_phase import CompiledPhase
from kft.training.phase_compiler import PhaseCompiler


class StartComparison:
    """Comparison of a phase's current weights with its start weights on validation.

    Args:
        compiler: Compiler of the run's phases.

    Attributes:
        start_outputs: Outputs (examples, outputs) of the start weights; None until computed.
    """

    def __init__(self, compiler: PhaseCompiler) -> None:
        self._compiler = compiler
        self._given: PhaseInput | None = None
        self._scorer: ValidationScorer | None = None
        self.start_outputs: np.ndarray | None = None

    def note_start(self, compiled: CompiledPhase) -> None:
        """Compute the outputs of the current weights as those of the start, unless known."""
        if self.start_outputs is None:
            self.start_outputs, _ = self.scorer_of(compiled).answer()

    def compare(self, compiled: CompiledPhase) -> tuple[Comparison, ValidationScore]:
        """Compare the current weights with the start weights, and score them."""
        assert self.start_outputs is not None, "note_start was not called"
        scorer = self.scorer_of(compiled)
        outputs, targets = scorer.answer()
        task = self._compiler.assembled.head.task
        return compare(self.start_outputs, outputs, targets, task), scorer.score(outputs, targets)

    def scorer_of(self, compiled: CompiledPhase) -> ValidationScorer:
        """Return a scorer of the current weights, which is traced once per compiled phase."""
        if self._scorer is None or self._given is not compiled.given:
            self._given, self._scorer = compiled.given, self._make_scorer(compiled)
        return self._scorer

    def _make_scorer(self, compiled: CompiledPhase) -> ValidationScorer:
        given, assembled = compiled.given, self._compiler.assembled
        assert given.validation is not None, "a choice without validation examples"
        if given.model is assembled.model and not compiled.adapted:
            answers = self._compiler.answers
        else:
            # The graph differs from that of the final whole model.
            answers = Forward(given.model, assembled.head.activate)
        workers = self._compiler.workers
        return ValidationScorer(answers, assembled.head, given.validation.in_order, workers)
