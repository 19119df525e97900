"""Decisions about a phase on answers to examples that neither its probe nor its steps had seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.errors import TrainingError
from kft.feeding.phase_input import FoldFeed
from kft.runs.unseen_answers import UnseenAnswers
from kft.selection.blends import Blend, answer_blends, judge_blends
from kft.selection.snapshots import Snapshot
from kft.strategies import Phase
from kft.strategies.phases import Folds
from kft.training.budget import StepSeconds
from kft.training.callbacks import ProgressCallback
from kft.training.compiled_phase import CompiledPhase
from kft.training.fitted import FittedPhase, PhaseReport
from kft.training.fold_heads import FoldHeads
from kft.training.payloads import Payload
from kft.training.phase_compiler import PhaseCompiler
from kft.training.temperature import write_cooled
from kft.training.validation import Validator

# Fold that the short runs leave out, and the fold that the phase itself leaves out at first.
_OF_SHORT_RUNS, _OF_PHASE = 0, 1
# A probe that is wrong less often cannot be beaten by more than half a point.
_LEAST_ERROR = 0.005
# A short run understates the gain, and the more so at high rates, which change more before they
# help. At any rate but the last, the loss may be this share higher than that of the probe.
_SLACK = 0.05


class FoldDecision:
    """Decisions about a phase, made on folds of the examples that it learns from.

    A run that leaves out a fold starts from a probe that was solved without it.

    Args:
        compiler: Compiler of the run's phases.
        phase: Phase with folds.
        probe: Result of the solved phase before it.
        report: Report for the progress.
    """

    def __init__(
        self, compiler: PhaseCompiler, phase: Phase, probe: FittedPhase, report: PhaseReport
    ) -> None:
        assert phase.folds is not None
        self._compiler = compiler
        self._phase = phase
        self._folds: Folds = phase.folds
        self._report = report
        self._head = compiler.assembled.head
        self._probe = probe
        self._heads = FoldHeads(compiler, probe, self._folds.count)
        self._validator = Validator(compiler)
        self._fed: FoldFeed | None = None

    def is_needless(self, facts: dict[str, Any]) -> bool:
        """Tell whether the probe's answers to unseen examples are right but for half a point.

        Args:
            facts: Values for phase.json, which get the error of the probe if it is so.
        """
        loss = self._head.task.linear
        assert loss is not None, "the probe was solved"
        error = 1 - float(self._probe.facts["solution"]["score"])
        is_needless = loss.score_name == "accuracy" and error < _LEAST_ERROR
        if is_needless:
            facts["needless_at_error"] = error
            self._report.display.stage(
                f"{self._report.title}: the probe is right on all but {100 * error:.1f} % of "
                "unseen examples, so it is skipped."
            )
        return is_needless

    def choose(self, compiled: CompiledPhase, facts: dict[str, Any]) -> Phase | None:
        """Choose the learning rate by short runs, and the steps that the budget leaves time for.

        Args:
            compiled: The compiled phase, which is reset afterwards.
            facts: Values for phase.json, which get those of the runs.

        Returns:
            The phase to run; None if no blend at any rate is better than the probe, or if there is
            no time.
        """
        tried: list[dict[str, Any]] = []
        facts["short_runs"] = {"steps": self._folds.steps, "tried": tried}
        found: tuple[float, float] | None = None
        # A single example leaves nothing to judge by.
        rates = self._folds.rates if self._heads.count > 1 else ()
        seconds = 0.0
        for rate in rates:
            if self._find_left() <= seconds:
                facts["left_out"] = f"learning rate {rate:g} and fine-tuning"
                break
            begun, step = time.monotonic(), StepSeconds()
            blend = self._try(compiled, rate, step)
            seconds = self._of_chief(time.monotonic() - begun)
            slack = 0.0 if rate == rates[-1] else _SLACK
            is_promising = blend is not None and blend.promises_gain(slack)
            described = None if blend is None else blend.describe()
            tried.append({"learning_rate": rate, "blend": described, "is_chosen": is_promising})
            if is_promising:
                found = rate, step.mean
                break
        compiled.reset()
        chosen = None if found is None else self._shorten(*found, facts)
        if "left_out" in facts:
            self._report.display.stage(f"  strategy.budget leaves out {facts['left_out']}")
        elif chosen is None:
            runs = "the short run" if len(tried) == 1 else f"{len(tried)} short runs"
            self._report.display.stage(
                f"{self._report.title}: {runs} of {self._folds.steps} steps did not improve on the "
                "probe, so it is skipped."
            )
        return chosen

    def _find_left(self) -> float:
        """Find the seconds that the budget leaves, by the chief's clock."""
        return self._of_chief(self._compiler.clock.find_left(self._folds.budget_seconds))

    def _of_chief(self, seconds: float) -> float:
        return float(self._compiler.workers.broadcast_from_chief(lambda: seconds))

    def _shorten(self, rate: float, step_seconds: float, facts: dict[str, Any]) -> Phase | None:
        """Plan as many steps as there is time for; None for fewer than those of a short run."""
        phase, steps = self._phase.at_rate(rate), self._phase.fit.steps
        left, step_seconds = self._find_left(), self._of_chief(step_seconds)
        if left >= steps * step_seconds:
            return phase
        affordable = int(max(0.0, left) / step_seconds)
        if affordable < self._folds.steps:
            facts["left_out"] = "fine-tuning"
            return None
        facts["left_out"] = f"{steps - affordable} of {steps} steps"
        return phase.shortened(affordable)

    def begin(self, compiled: CompiledPhase) -> tuple[BlendJudge, Callable[[int], tf.data.Dataset]]:
        """Give the phase the probe of its fold; returns its judge, and its batches.

        The batches leave out the fold until the phase is judged.
        """
        rows, held = self._divide(_OF_PHASE)
        folds = compiled.phase.folds
        assert folds is not None
        judged_after = folds.judged_after
        few = self._feed.train(rows, judged_after)

        def start_at(step: int) -> tf.data.Dataset:
            later = compiled.given.train(max(step, judged_after))
            return later if step >= judged_after else few(step).concatenate(later)

        self._heads.put(_OF_PHASE)
        start = compiled.weights.take()

        def judge() -> tuple[Blend, float | None]:
            blend, answers = self._judge(compiled, start, held)
            sure = f"; it is {blend.comparison}" if blend.share else ""
            self._report.display.stage(f"  {self._phase.name}: {blend}{sure}")
            if not blend.share:
                return blend, None
            return blend, write_cooled(self._head, answers, self._report.folder)

        return BlendJudge(judge, judged_after), start_at

    @property
    def _feed(self) -> FoldFeed:
        if self._fed is None:
            self._fed = self._compiler.feed.for_folds(self._phase)
        return self._fed

    def _divide(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Divide the examples into those outside of a fold, and those in it."""
        is_held = self._heads.folds == fold
        return np.flatnonzero(~is_held), np.flatnonzero(is_held)

    def _try(self, compiled: CompiledPhase, rate: float, step: StepSeconds) -> Blend | None:
        """Train for a few steps with their own short schedule, and judge; None if it diverged."""
        steps = self._folds.steps
        rows, held = self._divide(_OF_SHORT_RUNS)
        compiled.reset(learning_rate=rate, steps=steps)
        self._heads.put(_OF_SHORT_RUNS)
        start = compiled.weights.take()
        title = f"  short run at learning rate {rate:g}, {steps} steps"
        with self._report.display.track(title, steps) as advance:
            own = [ProgressCallback(advance, steps), step]
            batches = self._feed.train(rows, steps)
            try:
                compiled.run(steps=steps, is_validated=False, callbacks=own, train=batches)
                blend, _ = self._judge(compiled, start, held)
            except TrainingError:
                advance(steps, note="(diverged)")
                return None
            advance(steps, note=f"({blend.score}, share {blend.share:g})")
        return blend

    def _judge(
        self, compiled: CompiledPhase, start: Snapshot, held: np.ndarray
    ) -> tuple[Blend, UnseenAnswers]:
        """Find the best blend of the current weights, and its answers to left-out examples."""
        scorer = self._validator.scorer_of(compiled, self._feed.in_order(held))
        outputs, targets = answer_blends(compiled.weights, start, scorer)
        # If every class is in one fold alone, there is nothing better to judge by.
        seen = self._heads.seen[held]
        seen = seen if seen.any() else ~seen
        outputs = {share: each[seen] for share, each in outputs.items()}
        blend = judge_blends(outputs, targets[seen], self._head.task)
        return blend, UnseenAnswers(outputs[blend.share], targets[seen])


class BlendJudge(keras.callbacks.Callback):
    """Callback that finds the best blend once, before a phase learns from its last fold.

    If that is the start, the phase ends.

    Args:
        judge: Function that returns the best blend, and its temperature unless it is the start.
        judged_after: Number of steps after which to judge.

    Attributes:
        facts: Values for phase.json; empty before.
    """

    def __init__(self, judge: Callable[[], tuple[Blend, float | None]], judged_after: int) -> None:
        super().__init__()
        self._judge = judge
        self._steps_left = judged_after
        self.facts: dict[str, Any] = {}

    @property
    def share(self) -> float:
        """Share of the trained weights in the best blend."""
        share: float = self.facts["blend"]["share"]
        return share

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count one step, and judge after the last of them."""
        self._steps_left -= 1
        if not self._steps_left:
            self.find()
            self.model.stop_training = self.model.stop_training or not self.share

    def find(self) -> None:
        """Find the best blend, unless it is known; early stopping may end a phase before."""
        if self.facts:
            return
        blend, temperature = self._judge()
        self.facts = {"blend": blend.describe(), "comparison": blend.comparison.describe()}
        if temperature is not None:
            self.facts["temperature"] = temperature

    def pack(self) -> Payload:
        """Pack the remaining steps and what was found."""
        return {"steps_left": self._steps_left, "facts": self.facts}, {}

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the packed state."""
        self._steps_left, self.facts = state["steps_left"], state["facts"]
