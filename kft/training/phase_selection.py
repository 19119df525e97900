"""Phase with selection on validation: candidates, averages of weights, and whether to keep it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kft.model import HEAD
from kft.selection.averaging import greedy_soup, start_of_path, wise_ft
from kft.selection.best_epochs import KeepBest, make_keep_best
from kft.selection.blends import Blend, put_blend
from kft.selection.candidates import (
    TriedCandidate,
    choose,
    describe_candidate,
    differ_in_rate,
    name_candidates,
)
from kft.strategies import Phase
from kft.strategies.phases import COMPUTED_FROM_INPUTS
from kft.training.candidate_trials import CandidateTrials
from kft.training.compiled_phase import CompiledPhase
from kft.training.fitted import FittedPhase, PhaseReport
from kft.training.fitting import conclude, fit_compiled
from kft.training.fold_decision import BlendJudge, FoldDecision
from kft.training.payloads import Payload
from kft.training.phase_compiler import PhaseCompiler
from kft.training.recording import PhaseRecorder
from kft.training.solving import solve_phase
from kft.training.temperature import divide_logits
from kft.training.validation import Validator


def run_phase(
    compiler: PhaseCompiler,
    phase: Phase,
    report: PhaseReport,
    recorder: PhaseRecorder | None = None,
    *,
    before: FittedPhase | None = None,
) -> FittedPhase:
    """Solve or fit a phase and leave the model with the selected weights.

    Args:
        compiler: Compiler of the run's phases.
        phase: The planned phase.
        report: Report for its files and progress.
        recorder: Recorder that writes checkpoints of its steps and knows the
            step to continue from; anything before the steps is repeated.
        before: Result of the phase before, a solved probe if the phase decides by folds.

    Raises:
        ConfigError: A setting does not fit the targets.
        TrainingError: The loss is not finite, a frozen variable changed, or no variable of a
            trainable block did.
    """
    if phase.method == "fit":
        return PhaseSelection(compiler, phase, report, recorder, before).run()
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
        phase: The planned phase.
        report: Report for its files and progress.
        recorder: Recorder that writes checkpoints of its steps.
        before: Result of the phase before; see `run_phase`.
    """

    def __init__(
        self,
        compiler: PhaseCompiler,
        phase: Phase,
        report: PhaseReport,
        recorder: PhaseRecorder | None = None,
        before: FittedPhase | None = None,
    ) -> None:
        self._compiler = compiler
        self._before = before
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
        if self._planned.folds is not None:
            return self._fit_by_folds(begun, is_resumed=is_resumed)
        if is_resumed or not self._planned.choice.candidates:
            return self._fit(self._compiler.compile(self._phase))
        trials = CandidateTrials(self._compiler, self._planned, self._report, self._validation)
        compiled, tried = trials.run()
        best = choose(tried, is_sequential=self._planned.choice.is_sequential)
        self._facts["candidates"] = {
            "pilot_steps": self._planned.choice.pilot_steps,
            "tried": [each.describe(is_chosen=each is best) for each in tried],
        }
        if self._is_hopeless(best, len(tried)):
            compiled.discard()
            return self._keep_start(begun)
        return self._fit(self._continue_as(best.candidate, compiled, was_last=best is tried[-1]))

    def _fit_by_folds(self, begun: float, *, is_resumed: bool) -> FittedPhase:
        """Choose the rate and fit the phase, or skip it, by decisions on folds."""
        assert self._before is not None, "folds need a probe"
        decision = FoldDecision(self._compiler, self._planned, self._before, self._report)
        if not is_resumed and decision.is_needless(self._facts):
            return self._keep_start(begun)
        compiled = self._compiler.compile(self._planned)
        chosen = self._phase if is_resumed else decision.choose(compiled, self._facts)
        if chosen is None:
            compiled.discard()
            return self._keep_start(begun)
        self._phase = compiled.phase = chosen
        compiled.reset()
        return self._fit(compiled, *decision.begin(compiled))

    def pack(self) -> Payload:
        """Pack the choices made before the steps."""
        return {
            "learning_rate": self._phase.fit.learning_rate,
            "steps": self._phase.fit.steps,
            "trainable": list(self._phase.scope.trainable),
            "first_step": self._first_step,
            "facts": self._facts,
        }, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the packed choices."""
        if self._planned.folds is not None:
            at_rate = self._planned.at_rate(state["learning_rate"])
            self._phase = at_rate.shortened(state["steps"])
        for candidate in name_candidates(self._planned):
            if (candidate.fit.learning_rate, list(candidate.scope.trainable)) == (
                state["learning_rate"],
                state["trainable"],
            ):
                self._phase = candidate
        self._facts |= state["facts"]
        self._first_step = state["first_step"]

    def _fit(
        self,
        compiled: CompiledPhase,
        judge: BlendJudge | None = None,
        train: Callable[[int], tf.data.Dataset] | None = None,
    ) -> FittedPhase:
        """Take the steps of the chosen phase, select its weights and conclude it."""
        best = make_keep_best(
            compiled.weights, self._config, folder=self._report.folder / "kept", take=compiled.take
        )
        fitted = fit_compiled(
            compiled,
            self._report,
            callbacks=[each for each in (best, judge) if each is not None],
            first_step=self._first_step,
            train=train,
            recorder=self._recorder,
        )
        is_kept = self._choose_weights(compiled, best, judge)
        return conclude(compiled, fitted, self._report, is_kept=is_kept, facts=self._facts)

    def _choose_weights(
        self, compiled: CompiledPhase, best: KeepBest | None, judge: BlendJudge | None
    ) -> bool:
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
        share = 1.0
        if self._phase.choice.blends:
            blend = self._validation.find_blend(compiled)
            self._record(blend)
            share = blend.share
        if judge is not None:
            judge.find()
            self._facts |= judge.facts
            share = judge.share
        if share < 1:
            if share and not compiled.adapted:
                self._compiler.on_trained()
            start = start_of_path(compiled.start, compiled.weights.take())
            put_blend(compiled.weights, start, share)
        if "temperature" in self._facts:
            divide_logits(self._compiler.assembled.model, self._facts["temperature"])
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

    def _record(self, blend: Blend) -> None:
        """Record and report the blend that is expected best, and how sure that is."""
        self._facts["blend"] = blend.describe()
        self._facts["comparison"] = blend.comparison.describe()
        sure = f"; it is {blend.comparison}" if blend.share else ""
        self._say(f"{self._phase.name}: {blend}{sure}")

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

    def _keep_start(self, begun: float) -> FittedPhase:
        """Report a phase that ended with its trials."""
        fitted = FittedPhase(
            self._phase,
            history=[],
            seconds=time.monotonic() - begun,
            computed_from=COMPUTED_FROM_INPUTS,
            unmoved=(),
            is_undone=True,
            facts=self._facts,
        )
        self._report.write(fitted)
        return fitted

    def _say(self, text: str) -> None:
        self._report.display.stage(f"  {text}")
