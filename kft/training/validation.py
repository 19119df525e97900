"""Scorers of a phase's current weights on examples that it does not train on."""

from __future__ import annotations

import tensorflow as tf

from kft.features import Forward
from kft.feeding.phase_input import PhaseInput
from kft.selection.averaging import ValidationScorer, start_of_path
from kft.selection.blends import Blend, find_blend
from kft.training.compiled_phase import CompiledPhase
from kft.training.phase_compiler import PhaseCompiler


class Validator:
    """Maker of scorers, whose graph is traced once per compiled phase.

    Args:
        compiler: Compiler of the run's phases.
    """

    def __init__(self, compiler: PhaseCompiler) -> None:
        self._compiler = compiler
        self._given: PhaseInput | None = None
        self._answers: Forward | None = None

    def scorer_of(
        self, compiled: CompiledPhase, batches: tf.data.Dataset | None = None
    ) -> ValidationScorer:
        """Return a scorer of the current weights.

        Args:
            compiled: Compiled phase with these weights.
            batches: Batches (inputs, targets) to score on, in order; by default validation.
        """
        given = compiled.given
        if self._answers is None or self._given is not given:
            self._given, self._answers = given, self._find_answers(compiled)
        if batches is None:
            assert given.validation is not None, "a choice without validation examples"
            batches = given.validation.in_order
        head, workers = self._compiler.assembled.head, self._compiler.workers
        return ValidationScorer(self._answers, head, batches, workers)

    def find_blend(self, compiled: CompiledPhase) -> Blend:
        """Find the best blend of the current weights with the start of the phase."""
        start = start_of_path(compiled.start, compiled.weights.take())
        task = self._compiler.assembled.head.task
        return find_blend(compiled.weights, start, self.scorer_of(compiled), task)

    def _find_answers(self, compiled: CompiledPhase) -> Forward:
        given, assembled = compiled.given, self._compiler.assembled
        if given.model is assembled.model and not compiled.adapted:
            return self._compiler.answers
        # The graph differs from that of the final whole model.
        return Forward(given.model, assembled.head.activate)
