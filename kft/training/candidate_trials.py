"""Trials of a phase's candidates, which are scored on validation."""

from __future__ import annotations

import math

from kft.errors import TrainingError
from kft.selection.averaging import ValidationScore
from kft.selection.candidates import (
    TriedCandidate,
    describe_candidate,
    differ_in_rate,
    name_candidates,
    try_in_turn,
)
from kft.strategies import Phase
from kft.training.callbacks import ProgressCallback
from kft.training.compiled_phase import CompiledPhase
from kft.training.fitted import PhaseReport
from kft.training.phase_compiler import PhaseCompiler
from kft.training.validation import Validator


class CandidateTrials:
    """Trials of a phase's candidates.

    Args:
        compiler: Compiler of the run's phases.
        planned: Phase with candidates.
        report: Report for the progress.
        validator: Maker of scorers.
    """

    def __init__(
        self, compiler: PhaseCompiler, planned: Phase, report: PhaseReport, validator: Validator
    ) -> None:
        self._compiler = compiler
        self._planned = planned
        self._report = report
        self._validator = validator

    def run(self) -> tuple[CompiledPhase, list[TriedCandidate]]:
        """Try candidates; the model keeps the weights of the last trial."""
        choice = self._planned.choice
        shares_step = differ_in_rate(choice.candidates)
        compiled: CompiledPhase | None = None

        def try_one(candidate: Phase) -> TriedCandidate:
            nonlocal compiled
            if compiled is None or not shares_step:
                if compiled is not None:
                    compiled.discard()
                num_steps = None if shares_step else choice.pilot_steps
                compiled = self._compiler.compile(candidate, num_steps=num_steps)
            return self._try(candidate, compiled)

        tried = try_in_turn(
            name_candidates(self._planned), try_one, is_sequential=choice.is_sequential
        )
        assert compiled is not None, "a choice without candidates"
        return compiled, tried

    def _try(self, candidate: Phase, compiled: CompiledPhase) -> TriedCandidate:
        """Train a candidate for a few steps with its own short schedule, and score it."""
        choice = self._planned.choice
        steps = choice.pilot_steps
        # The trial starts from the start weights but does not restore them at its end, because
        # training may continue from the last trial.
        compiled.reset(learning_rate=candidate.fit.learning_rate, steps=steps)
        title = f"  trial of {describe_candidate(candidate, choice.candidates)}, {steps} steps"
        with self._report.display.track(title, steps) as advance:
            progress = ProgressCallback(advance, steps)
            try:
                compiled.run(steps=steps, is_validated=False, callbacks=[progress])
                blend = self._validator.find_blend(compiled) if choice.blends else None
            except TrainingError:
                advance(steps, note="(diverged)")
                return TriedCandidate(candidate, ValidationScore(math.inf, None))
            if blend is None:
                score = self._validator.scorer_of(compiled)()
                advance(steps, note=f"({score})")
                return TriedCandidate(candidate, score)
            advance(steps, note=f"({blend.score}, share {blend.share:g})")
        return TriedCandidate(candidate, blend.score, blend)
