"""Phase with selection on validation: candidates, averages of weights, and whether to keep it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from kft.errors import TrainingError
from kft.model import HEAD
from kft.selection.averaging import ValidationScore, greedy_soup, start_of_path, wise_ft
from kft.selection.best_epochs import KeepBest, make_keep_best
from kft.selection.blends import Blend, find_blend, put_blend
from kft.selection.candidates import (
    TriedCandidate,
    choose,
    describe_candidate,
    differ_in_rate,
    name_candidates,
    try_in_turn,
)
from kft.strategies import Phase
from kft.strategies.phases import COMPUTED_FROM_INPUTS
from kft.training.callbacks import ProgressCallback
from kft.training.compiled_phase import CompiledPhase
from kft.training.fitted import FittedPhase, PhaseReport
from kft.training.fitting import conclude, fit_compiled
from kft.training.payloads import Payload
from kft.training.phase_compiler import PhaseCompiler
from kft.training.recording import PhaseRecorder
from kft.training.solving import solve_phase
from kft.training.validation import Validator


def run_phase(
    compiler: PhaseCompiler,
    phase: Phase,
    report: PhaseReport,
    recorder: PhaseRecorder | None = None,
) -> FittedPhase:
    """Solve or fit a phase and leave the model with the selected weights.

    Args:
        compiler: Compiler of the run's phases.
        phase: The resolved phase.
        report: Report for its files and progress.
        recorder: Recorder that writes checkpoints of its steps and knows the
            step to continue from; anything before the steps is repeated.

    Raises:
        ConfigError: A setting does not fit the targets.
        TrainingError: The loss is not finite, a frozen variable changed, or no variable of a
            trainable block did.
    """
    if phase.method == "fit":
        return PhaseSelection(compiler, phase, report, recorder).run()
    examples = compiler.feed.examples(phase)
    return solve_phase(
        compiler.assembled,
        phase,
        compiler.config,
        compiler.find_vectors,
        learned_targets=examples.targets,
        find_targets=compiler.feed.read_targets,
        units=examples.units,
        report=report,
        workers=compiler.workers,
    )


class PhaseSelection:
    """Selection within a fitted phase, from trials of candidates to averages of weights.

    Args:
        compiler: Compiler of the run's phases.
        phase: The resolved phase.
        report: Report for its files and progress.
        recorder: Recorder that writes checkpoints of its steps.
    """

    def __init__(
        self,
        compiler: PhaseCompiler,
        phase: Phase,
        report: PhaseReport,
        recorder: PhaseRecorder | None = None,
    ) -> None:
        self._compiler = compiler
        self._planned = self._phase = phase
        self._report = report
        self._recorder = recorder
        self._config = compiler.config
        self._facts: dict[str, Any] = {}
        self._validation = Validator(compiler)
        # Number of steps that the trial of the chosen candidate has taken already.
        self._first_step = 0

    def run(self) -> FittedPhase:
        """Run the phase; see `run_phase`."""
        begun = time.monotonic()
        is_resumed = self._recorder is not None and self._recorder.keep("choice", self)
        if is_resumed or not self._planned.choice.candidates:
            return self._fit(self._compiler.compile(self._phase))
        compiled, tried = self._try_candidates()
        best = choose(tried, is_sequential=self._planned.choice.is_sequential)
        self._facts["candidates"] = {
            "pilot_steps": self._planned.choice.pilot_steps,
            "tried": [each.describe(is_chosen=each is best) for each in tried],
        }
        if self._is_hopeless(best, len(tried)):
            compiled.discard()
            return self._keep_start(begun, None)
        if self._planned.choice.only_compares:
            assert best.blend is not None, "a comparison without blends"
            self._record(best.blend)
            self._phase = best.candidate
            compiled.discard()
            return self._keep_start(begun, compiled)
        return self._fit(self._continue_as(best.candidate, compiled, was_last=best is tried[-1]))

    def pack(self) -> Payload:
        """Pack the choices made before the steps."""
        return {
            "learning_rate": self._phase.fit.learning_rate,
            "trainable": list(self._phase.scope.trainable),
            "first_step": self._first_step,
            "facts": self._facts,
        }, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the packed choices."""
        for candidate in name_candidates(self._planned):
            if (candidate.fit.learning_rate, list(candidate.scope.trainable)) == (
                state["learning_rate"],
                state["trainable"],
            ):
                self._phase = candidate
        self._facts |= state["facts"]
        self._first_step = state["first_step"]

    def _fit(self, compiled: CompiledPhase) -> FittedPhase:
        """Take the steps of the chosen phase, select its weights and conclude it."""
        best = make_keep_best(
            compiled.weights, self._config, folder=self._report.folder / "kept", take=compiled.take
        )
        fitted = fit_compiled(
            compiled,
            self._report,
            callbacks=[] if best is None else [best],
            first_step=self._first_step,
            recorder=self._recorder,
        )
        is_kept = self._choose_weights(compiled, best)
        return conclude(compiled, fitted, self._report, is_kept=is_kept, facts=self._facts)

    def _choose_weights(self, compiled: CompiledPhase, best: KeepBest | None) -> bool:
        """Assign the best weights of the phase, and tell whether to keep the phase."""
        if best is not None:
            self._restore_best(compiled, best)
        # For a probe, the start is an untrained head, which is not worth interpolating with.
        if self._config.wise_ft and self._phase.scope.trainable != (HEAD,):
            found = wise_ft(
                compiled.weights,
                start_of_path(compiled.start, compiled.weights.take()),
                self._validation.scorer_of(compiled),
            )
            self._facts["wise_ft"] = found.describe()
            self._say(f"{found}")
        if best is not None:
            best.discard()
        share = self._phase.share
        if self._phase.choice.blends:
            blend = self._find_blend(compiled)
            self._record(blend)
            share = blend.share
        if share < 1:
            start = start_of_path(compiled.start, compiled.weights.take())
            put_blend(compiled.weights, start, share)
        return share > 0

    def _restore_best(self, compiled: CompiledPhase, best: KeepBest) -> None:
        """Restore the best epoch, or average the best epochs, as configured."""
        if self._config.early_stopping is not None:
            self._facts["restored_epoch"] = best.restore().epoch
        if self._config.soup:
            soup = greedy_soup(
                compiled.weights, best.snapshots(), self._validation.scorer_of(compiled)
            )
            self._facts["greedy_soup"] = soup.describe()
            self._say(f"{soup}")

    def _find_blend(self, compiled: CompiledPhase) -> Blend:
        """Find the best blend of the current weights with the start of the phase."""
        start = start_of_path(compiled.start, compiled.weights.take())
        scorer = self._validation.scorer_of(compiled)
        return find_blend(compiled.weights, start, scorer, self._compiler.assembled.head.task)

    def _record(self, blend: Blend) -> None:
        """Record and report the blend that is expected best, and how sure that is."""
        self._facts["blend"] = blend.describe()
        self._facts["comparison"] = blend.comparison.describe()
        sure = f"; it is {blend.comparison}" if blend.share else ""
        self._say(f"{self._phase.name}: {blend}{sure}")

    def _try_candidates(self) -> tuple[CompiledPhase, list[TriedCandidate]]:
        """Try candidates; the model keeps the weights of the last trial."""
        choice, compiled = self._planned.choice, None
        shares_step = differ_in_rate(choice.candidates)

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
        steps = self._planned.choice.pilot_steps
        # The trial starts from the start weights but does not restore them at its end, because
        # training may continue from the last trial.
        compiled.reset(learning_rate=candidate.fit.learning_rate, steps=steps)
        description = describe_candidate(candidate, self._planned.choice.candidates)
        title = f"  trial of {description}, {steps} steps"
        with self._report.display.track(title, steps) as advance:
            progress = ProgressCallback(advance, steps)
            try:
                compiled.run(steps=steps, is_validated=False, callbacks=[progress])
                blend = self._find_blend(compiled) if self._planned.choice.blends else None
            except TrainingError:
                advance(steps, note="(diverged)")
                return TriedCandidate(candidate, ValidationScore(math.inf, None))
            if blend is None:
                score = self._validation.scorer_of(compiled)()
                advance(steps, note=f"({score})")
                return TriedCandidate(candidate, score)
            advance(steps, note=f"({blend.score}, share {blend.share:g})")
        return TriedCandidate(candidate, blend.score, blend)

    def _is_hopeless(self, best: TriedCandidate, num_tried: int) -> bool:
        """Tell whether no blend of any candidate was better than the start, and report it."""
        choice = self._planned.choice
        if not choice.blends or best.is_promising:
            return False
        trials = f"{num_tried} trials" if num_tried > 1 else "the trial"
        self._say(
            f"{self._report.title}: {trials} of {choice.pilot_steps} steps did not improve "
            "validation, so it is skipped."
        )
        return True

    def _continue_as(
        self, chosen: Phase, compiled: CompiledPhase, *, was_last: bool
    ) -> CompiledPhase:
        """Compile the chosen candidate, continuing from its trial if that was the last."""
        choice = self._planned.choice
        description = describe_candidate(chosen, choice.candidates)
        self._say(f"{self._report.title}: continues with {description}")
        self._phase = chosen
        if not differ_in_rate(choice.candidates):
            compiled.discard()
            return self._compiler.compile(chosen)
        compiled.phase = chosen
        if was_last and choice.pilot_steps < chosen.fit.steps:
            self._first_step = choice.pilot_steps
            compiled.restart(steps=chosen.fit.steps - self._first_step)
        else:
            compiled.reset()
        return compiled

    def _keep_start(self, begun: float, decided: CompiledPhase | None) -> FittedPhase:
        """Report a phase that ended with its trials; `decided` is the phase the winner ran in."""
        fitted = FittedPhase(
            self._phase,
            history=[],
            seconds=time.monotonic() - begun,
            computed_from=decided.given.computed_from if decided else COMPUTED_FROM_INPUTS,
            unmoved=(),
            steps_done=0 if decided is None else self._planned.choice.pilot_steps,
            traces=0 if decided is None else decided.traces,
            is_undone=True,
            facts=self._facts,
        )
        self._report.write(fitted)
        return fitted

    def _say(self, text: str) -> None:
        self._report.display.stage(f"  {text}")
