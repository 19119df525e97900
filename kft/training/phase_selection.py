"""A phase with what is chosen on validation: which candidate, whether it stays, which average."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.config import TrainingConfig
from kft.display import Display
from kft.errors import TrainingError
from kft.features import Forward
from kft.feeding.inputs import InputMaker
from kft.feeding.phase_input import PhaseInput
from kft.model import HEAD, Assembled
from kft.optimization.lora import is_first_factor
from kft.runs.atomic import write_json
from kft.selection.averaging import Judge, Judged, greedy_soup, wise_ft
from kft.selection.best_epochs import make_keep_best
from kft.selection.comparison import Comparison, compare
from kft.selection.snapshots import Snapshot
from kft.selection.trials import Trial, describe_candidate
from kft.strategies import Phase
from kft.tasks.head import Head
from kft.training.callbacks import ProgressCallback
from kft.training.fitted import FittedPhase, describe_phase
from kft.training.fitting import (
    CompiledPhase,
    compile_phase,
    fit_compiled,
)
from kft.training.solving import solve_phase
from kft.workers import ALONE, Workers

if TYPE_CHECKING:
    from kft.training.recording import PhaseRecorder


@dataclass
class PhaseRunner:
    """Runs the phases of a run, one after the other.

    Attributes:
        assembled: The model, as yet with its pretrained weights; they change.
        answers: Its forward pass, traced once for all that judge it.
        config: The pipeline's `training` section.
        inputs: Of the phases.
        display: Shows the progress.
        workers: All processes that run it.
    """

    assembled: Assembled
    answers: Forward
    config: TrainingConfig
    inputs: InputMaker
    display: Display
    workers: Workers = ALONE
    # What was compiled last: its traced step may serve the next phase.
    _last: CompiledPhase | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # What L2-SP holds to, in every phase.
        self._pretrained: dict[int, np.ndarray] = {}
        if self.config.l2_sp:
            variables = self.assembled.backbone.model.variables
            self._pretrained = {id(each): np.array(each.numpy()) for each in variables}

    def run(
        self, phase: Phase, *, folder: Path, title: str, recorder: PhaseRecorder | None = None
    ) -> FittedPhase:
        """Solve or fit a phase; the model ends with the weights that it chose.

        Args:
            phase: As planned.
            folder: Where its files go.
            title: Of the progress bar.
            recorder: Writes checkpoints of its steps, and says where to go on
                from; what comes before the steps is done again.

        Raises:
            ConfigError: A setting does not fit the targets.
            TrainingError: The loss is no number, or something moved, or
                stayed, that should not.
        """
        if phase.method == "solve":
            # Other flags are set then than those that the step was traced with.
            self._last = None
            return solve_phase(
                self.assembled,
                phase,
                self.config,
                self.inputs.vectors,
                learnt_targets=self.inputs.examples(phase).targets,
                folder=folder,
                display=self.display,
                title=title,
                workers=self.workers,
            )
        return _Choice(self, phase, folder, title, recorder).run()

    def compile(self, phase: Phase, *, num_steps: int | None = None) -> CompiledPhase:
        """A phase that is ready to be fitted, or `num_steps` steps of it.

        For a few steps no more views are stored than these see.
        """
        steps = phase.steps if num_steps is None else num_steps
        learnt_targets = self.inputs.examples(phase).targets

        def make_input(phase: Phase) -> PhaseInput:
            return self.inputs.for_phase(replace(phase, steps=steps))

        if self._last is None or not self._last.take_over(phase, make_input, learnt_targets):
            # What it holds, such as stored features, may have to make room first.
            self._last = None
            self._last = compile_phase(
                self.assembled,
                phase,
                self.config,
                make_input,
                learnt_targets=learnt_targets,
                pretrained=self._pretrained,
            )
        return self._last


@dataclass
class _Choice:
    """One fitted phase, from its candidates' trials to the average of its weights."""

    runner: PhaseRunner
    phase: Phase
    folder: Path
    title: str
    recorder: PhaseRecorder | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    _judge: Judge | None = None
    _first_step: int = 0
    _is_decided: bool = False
    _start_outputs: np.ndarray | None = None

    def run(self) -> FittedPhase:
        begun = time.monotonic()
        compiled = self._begin()
        if compiled is None:
            return self._keep_start(time.monotonic() - begun)
        if self._is_decided:
            compiled.discard()
            return self._keep_start(time.monotonic() - begun, compiled)
        config = self.runner.config
        best = make_keep_best(
            compiled.weights, config, folder=self.folder / "kept", take=compiled.take
        )
        if self.phase.must_beat_start and self._start_outputs is None:
            self._start_outputs, _ = self._judge_of(compiled).answer()

        def choose_weights() -> bool:
            if best is not None:
                self._go_back_to_best(compiled, best)
            # A probe has nothing to go back to but a head that answers nothing.
            if config.wise_ft and self.phase.trainable != (HEAD,):
                self._interpolate(compiled)
            if best is not None:
                best.discard()
            is_chosen = not self.phase.must_beat_start or self._beats(compiled)
            return is_chosen and not self.phase.is_trial

        return fit_compiled(
            compiled,
            folder=self.folder,
            display=self.runner.display,
            title=self.title,
            callbacks=[] if best is None else [best],
            choose_weights=choose_weights,
            first_step=self._first_step,
            facts=self.facts,
            recorder=self.recorder,
        )

    def _begin(self) -> CompiledPhase | None:
        """What is to be fitted, after its trials; None to stay with the weights as they are."""
        if self.recorder is not None:
            self.recorder.record_choice(self._pack)
            if self.recorder.choice is not None:
                return self._go_back_to_choice(*self.recorder.choice)
        return self._try_candidates() if self.phase.candidates else self._compile(self.phase)

    def _pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What was chosen before the steps."""
        outputs = {} if self._start_outputs is None else {"start_outputs": self._start_outputs}
        return {
            "learning_rate": self.phase.learning_rate,
            "trainable": list(self.phase.trainable),
            "first_step": self._first_step,
            "facts": self.facts,
        }, outputs

    def _go_back_to_choice(
        self, chosen: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> CompiledPhase:
        """The phase that was chosen before it was interrupted, compiled again."""
        for candidate in self._named_candidates():
            if (candidate.learning_rate, list(candidate.trainable)) == (
                chosen["learning_rate"],
                chosen["trainable"],
            ):
                self.phase = candidate
        self.facts |= chosen["facts"]
        self._first_step = chosen["first_step"]
        self._start_outputs = arrays.get("start_outputs")
        return self._compile(self.phase)

    def _compile(self, phase: Phase, *, num_steps: int | None = None) -> CompiledPhase:
        self._judge = None
        return self.runner.compile(phase, num_steps=num_steps)

    def _judge_of(self, compiled: CompiledPhase) -> Judge:
        """Judges the present weights; traced once for a compiled phase."""
        if self._judge is None:
            assert compiled.given.validation is not None, "a choice without validation examples"
            answers = self.runner.answers
            if compiled.given.model is not answers.model or compiled.adapted:
                # Another graph than that of the whole model as it will be when all is done.
                answers = Forward(compiled.given.model, self._head.activate)
            batches = compiled.given.validation.in_order
            self._judge = Judge(answers, self._head, batches, self.runner.workers)
        return self._judge

    def _try_candidates(self) -> CompiledPhase | None:
        """The candidate to go on with, compiled; None to stay with the weights as they are."""
        trials: list[Trial] = []
        compiled: CompiledPhase | None = None
        for candidate, compiled in self._compiled_candidates():
            if self._start_outputs is None:
                self._start_outputs, _ = self._judge_of(compiled).answer()
            trials.append(self._try(candidate, compiled))
            if self.phase.is_sequential and trials[-1].is_promising:
                break
        best = min(trials, key=lambda trial: trial.judged.loss)
        if self.phase.is_sequential and trials[-1].is_promising:
            best = trials[-1]
        self.facts["candidates"] = {
            "pilot_steps": self.phase.pilot_steps,
            "tried": [trial.describe(is_chosen=trial is best) for trial in trials],
        }
        assert compiled is not None
        if self.phase.must_beat_start and not best.is_promising:
            compiled.discard()
            self.runner.display.stage(
                f"  {self.title}: all {len(trials)} trials of {self.phase.pilot_steps} steps were "
                "worse than the weights it began with, beyond chance; it is left out."
            )
            return None
        what = describe_candidate(best.candidate, self.phase.candidates)
        if self.phase.is_trial and best.comparison is not None and best.comparison.is_better:
            self.facts["comparison"] = best.comparison.describe()
            self._is_decided, self.phase = True, best.candidate
            with self.runner.display.track(self.title) as advance:
                advance(1, note=f"({what}: its trial is enough)")
            return compiled
        self.runner.display.stage(f"  {self.title}: goes on with {what}")
        compiled = self._go_on(best.candidate, compiled, was_last=best is trials[-1])
        self.phase = best.candidate
        return compiled

    def _go_on(self, chosen: Phase, compiled: CompiledPhase, *, was_last: bool) -> CompiledPhase:
        """The chosen candidate, after its trial where the model still holds its weights."""
        if not self._differ_in_rate:
            compiled.discard()
            return self._compile(chosen)
        rate, steps = chosen.learning_rate, chosen.steps
        compiled.phase = chosen
        if was_last and self.phase.pilot_steps < steps:
            self._first_step = self.phase.pilot_steps
            compiled.restart(learning_rate=rate, steps=steps - self._first_step)
        else:
            compiled.reset(learning_rate=rate)
        return compiled

    @property
    def _differ_in_rate(self) -> bool:
        """Whether the candidates are one phase at several rates."""
        first, *others = self.phase.candidates
        return all(replace(o, learning_rate=first.learning_rate) == first for o in others)

    def _named_candidates(self) -> list[Phase]:
        """The candidates as phases that may take this one's place."""
        own: dict[str, Any] = {
            key: getattr(self.phase, key) for key in ("name", "must_beat_start", "is_trial")
        }
        return [replace(variant, **own) for variant in self.phase.candidates]

    def _compiled_candidates(self) -> Iterator[tuple[Phase, CompiledPhase]]:
        """Each candidate with what it runs on: one traced step, where only the rate differs."""
        compiled: CompiledPhase | None = None
        for candidate in self._named_candidates():
            if not self._differ_in_rate:
                if compiled is not None:
                    compiled.discard()
                compiled = self._compile(candidate, num_steps=self.phase.pilot_steps)
            elif compiled is None:
                compiled = self._compile(candidate)
            yield candidate, compiled

    def _try(self, candidate: Phase, compiled: CompiledPhase) -> Trial:
        """A short run with a schedule of its own, judged."""
        steps = self.phase.pilot_steps
        # From the start, and not put back at the end: the last one may go on from its trial.
        compiled.reset(learning_rate=candidate.learning_rate, steps=steps)
        what = describe_candidate(candidate, self.phase.candidates)
        with self.runner.display.track(f"  trial of {what}, {steps} steps", steps) as advance:
            try:
                compiled.run(
                    steps=steps,
                    is_validated=False,
                    callbacks=[ProgressCallback(advance, steps)],
                )
            except TrainingError:
                advance(steps, note="(diverged)")
                return Trial(candidate, Judged(math.inf, None), None)
            comparison, judged = self._compare(compiled)
            advance(steps, note=f"(validation {comparison})")
        return Trial(candidate, judged, comparison)

    def _compare(self, compiled: CompiledPhase) -> tuple[Comparison, Judged]:
        """The present weights beside those that the phase began with, on validation."""
        judge = self._judge_of(compiled)
        outputs, targets = judge.answer()
        assert self._start_outputs is not None
        comparison = compare(self._start_outputs, outputs, targets, self._head.task)
        return comparison, judge.score(outputs, targets)

    @property
    def _head(self) -> Head:
        return self.runner.assembled.head

    def _go_back_to_best(self, compiled: CompiledPhase, best: Any) -> None:
        """Early stopping's best epoch, or an average of the best ones."""
        if self.runner.config.early_stopping is not None:
            kept = best.restore()
            self.facts["restored_epoch"] = kept.epoch
        if self.runner.config.soup:
            soup = greedy_soup(compiled.weights, best.snapshots(), self._judge_of(compiled))
            self.facts["greedy_soup"] = soup.describe()
            self.runner.display.stage(f"  {soup}")

    def _interpolate(self, compiled: CompiledPhase) -> None:
        start = _start_of_interpolation(compiled)
        found = wise_ft(compiled.weights, start, self._judge_of(compiled))
        self.facts["wise_ft"] = found.describe()
        self.runner.display.stage(f"  {found}")

    def _beats(self, compiled: CompiledPhase) -> bool:
        """Whether the phase betters its start beyond chance, told to the user."""
        comparison, _ = self._compare(compiled)
        self.facts["comparison"] = comparison.describe()
        verdict = "it stays" if comparison.is_better else "not beyond chance, it is undone"
        if comparison.is_better and self.phase.is_trial:
            verdict = "it is to be learnt anew from all examples"
        self.runner.display.stage(f"  {self.phase.name} on validation: {comparison}; {verdict}")
        return comparison.is_better

    def _keep_start(self, seconds: float, tried: CompiledPhase | None = None) -> FittedPhase:
        """What came of a phase that its trials ended; with a winner, what that was tried on."""
        fitted = FittedPhase(
            self.phase,
            history=[],
            seconds=seconds,
            computed_from="pixels" if tried is None else tried.given.computed_from,
            unmoved=(),
            steps_done=0 if tried is None else self.facts["candidates"]["pilot_steps"],
            traces=0 if tried is None else tried.traces,
            is_undone=True,
            facts=self.facts,
        )
        write_json(self.folder / "phase.json", describe_phase(fitted))
        return fitted


def _start_of_interpolation(compiled: CompiledPhase) -> Snapshot:
    """The weights before the phase, from where the path to the present ones is straight.

    A product of low-rank factors is on a straight path if one of them stays
    at its last value and the other grows from zero.
    """
    present = compiled.weights.take()
    return {
        name: present[name] if is_first_factor(name) else value
        for name, value in compiled.start.items()
    }
