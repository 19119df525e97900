"""Scorers of a phase's current weights on validation."""

from __future__ import annotations

from kft.features import Forward
from kft.feeding.phase_input import PhaseInput
from kft.selection.averaging import ValidationScorer
from kft.training.compiled_phase import CompiledPhase
from kft.training.phase_compiler import PhaseCompiler


class Validator:
    """Maker of scorers, which are traced once per compiled phase.

    Args:
        compiler: Compiler of the run's phases.
    """

    def __init__(self, compiler: PhaseCompiler) -> None:
        self._compiler = compiler
        self._given: PhaseInput | None = None
        self._scorer: ValidationScorer | None = None

    def scorer_of(self, compiled: CompiledPhase) -> ValidationScorer:
        """Return a scorer of the current weights."""
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
