"""The weights of a phase on validation, beside those that it began with."""

from __future__ import annotations

import numpy as np

from kft.features import Forward
from kft.feeding.phase_input import PhaseInput
from kft.selection.averaging import Judged, ValidationScorer
from kft.selection.comparison import Comparison, compare
from kft.training.compiled_phase import CompiledPhase
from kft.training.phase_compiler import PhaseCompiler


class StartComparison:
    """Scores what a phase holds on validation, and compares it with the phase's start.

    Args:
        compiler: Of the phases of the run.

    Attributes:
        start_outputs: Answers (examples, outputs) of the weights that the phase began with; None
            until they are noted.
    """

    def __init__(self, compiler: PhaseCompiler) -> None:
        self._compiler = compiler
        self._given: PhaseInput | None = None
        self._scorer: ValidationScorer | None = None
        self.start_outputs: np.ndarray | None = None

    def note_start(self, compiled: CompiledPhase) -> None:
        """Answer validation by the present weights, unless a start is noted already."""
        if self.start_outputs is None:
            self.start_outputs, _ = self.scorer_of(compiled).answer()

    def compare(self, compiled: CompiledPhase) -> tuple[Comparison, Judged]:
        """The present weights beside those of the start."""
        assert self.start_outputs is not None, "nothing was noted to compare with"
        scorer = self.scorer_of(compiled)
        outputs, targets = scorer.answer()
        task = self._compiler.assembled.head.task
        return compare(self.start_outputs, outputs, targets, task), scorer.score(outputs, targets)

    def scorer_of(self, compiled: CompiledPhase) -> ValidationScorer:
        """Scores the present weights; traced once for a compiled phase."""
        if self._scorer is None or self._given is not compiled.given:
            self._given, self._scorer = compiled.given, self._make_scorer(compiled)
        return self._scorer

    def _make_scorer(self, compiled: CompiledPhase) -> ValidationScorer:
        given, assembled = compiled.given, self._compiler.assembled
        assert given.validation is not None, "a choice without validation examples"
        if given.model is assembled.model and not compiled.adapted:
            answers = self._compiler.answers
        else:
            # Another graph than that of the whole model as it will be when all is done.
            answers = Forward(given.model, assembled.head.activate)
        workers = self._compiler.workers
        return ValidationScorer(answers, assembled.head, given.validation.in_order, workers)
