"""One `model.fit` per phase, and proof of what it moved."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
    recorder: PhaseRecorder | None = None,
) -> FittedPhase:
    """Take the steps of a phase; it is then for `conclude` to end it.

    Low-rank factors are still weights of their own, and others may be put in the place of the
    last weights.

    Args:
        compiled: From `compile_phase`; perhaps tried before, and reset.
        report: Where history.csv, TensorBoard's files and the progress go.
        callbacks: Called after kft's own.
        first_step: How many of the phase's steps a trial has taken already.
        recorder: Writes checkpoints, and says where to go on from.

    Raises:
        TrainingError: The loss is no number.
    """
    phase = compiled.phase
    history = HistoryFile(report.folder / "history.csv")
    # Several replicas are fed ahead by a stage of their own, so that nothing can be measured here.
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
                *callbacks,
            ],
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
    """End a phase: prove that its blocks moved and nothing else did, or undo it; write phase.json.

    Args:
        compiled: With the weights that were chosen.
        fitted: From `fit_compiled`.
        report: Where phase.json goes.
        is_kept: Whether the weights stay; if not, those from before the phase come back.
        facts: What phase.json is to hold besides.

    Raises:
        TrainingError: A frozen block moved, or a trainable one did not.
    """
    unmoved: tuple[str, ...] = ()
    if is_kept:
        unmoved = compiled.finish()
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
