"""Fitting of a compiled phase, and the check of what it changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf

from kft.data.batches.waiting import Waiting
from kft.training.callbacks import HistoryFile, ProgressCallback, StepTimes
from kft.training.compiled_phase import CompiledPhase
from kft.training.fitted import FittedPhase, PhaseReport
from kft.training.recording import PhaseRecorder


def fit_compiled(
    compiled: CompiledPhase,
    report: PhaseReport,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    first_step: int = 0,
    train: Callable[[int], tf.data.Dataset] | None = None,
    recorder: PhaseRecorder | None = None,
) -> FittedPhase:
    """Take the steps of a phase, which `conclude` must end afterwards.

    Until then, low-rank factors are separate weights, and the final weights may be replaced.

    Args:
        compiled: Phase from `compile_phase`, possibly reset after a trial.
        report: Report for history.csv, TensorBoard's files and the progress.
        callbacks: Callbacks after kft's own.
        first_step: Number of the phase's steps that a trial has taken already.
        train: Batches in place of those of the phase; see `PhaseInput.train`.
        recorder: Recorder that writes checkpoints and knows the step to continue from.

    Raises:
        TrainingError: The loss is not finite.
    """
    phase = compiled.phase
    history = HistoryFile(report.folder / "history.csv")
    # With several replicas, a separate stage prefetches batches, so waiting cannot be measured.
    is_alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
    waiting = Waiting() if is_alone else None
    steps = StepTimes(compiled.begun, waiting)
    num_steps = phase.fit.steps - first_step
    with report.display.track(report.title, num_steps) as advance:
        compiled.run(
            first_step=first_step,
            callbacks=[
                steps,
                history,
                ProgressCallback(advance, num_steps),
                keras.callbacks.TensorBoard(str(report.folder / "tensorboard"), write_graph=False),
                *report.callbacks,
                *callbacks,
            ],
            train=train,
            waiting=waiting,
            recorder=recorder,
        )
    return FittedPhase(
        phase,
        history.rows,
        seconds=time.monotonic() - compiled.begun,
        computed_from=compiled.given.computed_from,
        unmoved=(),
        first_step_seconds=steps.first_seconds,
        steps_done=first_step + steps.num_done,
        traces=compiled.traces,
        waiting_share=steps.waiting_share,
    )


def conclude(
    compiled: CompiledPhase,
    fitted: FittedPhase,
    report: PhaseReport,
    *,
    is_kept: bool = True,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> FittedPhase:
    """End a phase: check that exactly its blocks changed, or undo it; then write phase.json.

    Args:
        compiled: Compiled phase that holds the chosen weights.
        fitted: Result from `fit_compiled`.
        report: Report for phase.json.
        is_kept: Whether the weights are kept; if not, the start weights are restored.
        facts: Further values for phase.json.

    Raises:
        TrainingError: A frozen block changed, or a trainable block did not.
    """
    unmoved: tuple[str, ...] = ()
    if is_kept:
        last = fitted.history[-1] if fitted.history else {}
        unmoved = compiled.finish(last.get("loss"))
    else:
        compiled.discard()
    concluded = replace(
        fitted,
        seconds=time.monotonic() - compiled.begun,
        unmoved=unmoved,
        is_undone=not is_kept,
        facts=facts,
    )
    report.write(concluded)
    return concluded
