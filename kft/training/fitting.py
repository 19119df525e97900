"""Phases -> a fitted model: one `model.fit` per phase, and proof of what it moved."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from kft.backbones.record import Block
from kft.config import TrainingConfig
from kft.errors import TrainingError
from kft.model import Assembled, BlockTable, flatten_layers
from kft.objectives import make_supervised
from kft.runs.atomic import write_json
from kft.strategies import Phase
from kft.training.callbacks import EndAfter, HistoryFile, ProgressCallback, RefuseDivergence
from kft.training.inputs import PhaseInput
from kft.training.optimizers import make_optimizer
from kft.training.progress import Display


@dataclass(frozen=True)
class FittedPhase:
    """What came of one phase.

    Attributes:
        phase: As it was planned.
        history: One row an epoch: loss and metrics, of validation too.
        seconds: From compile to the last step.
        computed_from: 'pixels', or the name of the cut.
        unmoved: Trainable variables whose gradient was exactly zero throughout.
    """

    phase: Phase
    history: list[dict[str, float]]
    seconds: float
    computed_from: str
    unmoved: tuple[str, ...]


def fit_phase(
    assembled: Assembled,
    phase: Phase,
    config: TrainingConfig,
    make_input: Callable[[Phase], PhaseInput],
    *,
    folder: Path,
    display: Display,
    title: str,
) -> FittedPhase:
    """Train the phase's blocks, and prove that they moved and nothing else did.

    Args:
        assembled: The model; its weights change.
        phase: What trains, how fast, how long.
        config: The pipeline's `training` section.
        make_input: Called once the flags are set.
        folder: Where history.csv, phase.json and TensorBoard's files go.
        display: Shows the progress.
        title: Of the progress bar.

    Raises:
        TrainingError: The loss is no number, a frozen block moved, or a
            trainable one did not.
    """
    assembled.blocks.set_trainable(phase.trainable, batch_norm=phase.batch_norm)
    given = make_input(phase)
    before = assembled.blocks.digests()
    history = HistoryFile(folder / "history.csv")
    begun = time.monotonic()
    objective = make_supervised(assembled.head, label_smoothing=config.label_smoothing)
    given.model.compile(
        optimizer=make_optimizer(config, phase, assembled.blocks),
        loss=objective.loss,
        metrics=objective.metrics,
        jit_compile=config.jit_compile,
    )
    with display.track(title, phase.steps) as advance:
        given.model.fit(
            given.train,
            epochs=phase.epochs,
            steps_per_epoch=phase.steps_per_epoch,
            validation_data=given.validation,
            verbose=0,
            # The order is the data set's own.
            shuffle=False,
            callbacks=[
                RefuseDivergence(phase.name, phase.learning_rate),
                EndAfter(phase.steps),
                history,
                ProgressCallback(advance, phase.steps),
                keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
            ],
        )
    seconds = time.monotonic() - begun
    unmoved = check_movement(phase, before, assembled.blocks)
    fitted = FittedPhase(phase, history.rows, seconds, given.computed_from, unmoved)
    write_json(folder / "phase.json", _describe(fitted))
    return fitted


def check_movement(
    phase: Phase, before: dict[str, dict[str, bytes]], blocks: BlockTable
) -> tuple[str, ...]:
    """Prove that exactly what the phase declared has moved.

    Returns:
        Trainable variables that stayed, which a zero gradient explains.

    Raises:
        TrainingError: A variable moved that should rest, or a trainable
            block did not move at all.
    """
    after = blocks.digests()
    unmoved: list[str] = []
    for block in blocks.blocks:
        moved = {p for p, digest in after[block.name].items() if before[block.name][p] != digest}
        may_move = set()
        if block.name in phase.trainable:
            may_move = _movable(block, batch_norm=phase.batch_norm)
        if moved - may_move:
            raise TrainingError(
                f"phase {phase.name!r}: {len(moved - may_move)} variables moved that it keeps "
                f"frozen, among them {sorted(moved - may_move)[0]!r} of block {block.name!r}."
            )
        if may_move and not moved:
            raise TrainingError(
                f"phase {phase.name!r}: block {block.name!r} is trainable but none of its "
                f"{len(may_move)} variables moved in {phase.steps} steps. Is its learning rate "
                "too small, or is it cut off from the loss?"
            )
        unmoved.extend(sorted(may_move - moved))
    return tuple(unmoved)


def _movable(block: Block, *, batch_norm: str) -> set[str]:
    """Paths, as `BlockTable.digests` writes them, of what a trainable block may change."""
    statistics = {
        id(variable)
        for layer in block.layers
        for part in flatten_layers(layer)
        if part.trainable and batch_norm == "trainable"
        for variable in part.non_trainable_variables
    }
    return {
        f"{variable.path}#{index}"
        for index, variable in enumerate(block.variables)
        if variable.trainable or id(variable) in statistics
    }


def _describe(fitted: FittedPhase) -> dict[str, Any]:
    phase = fitted.phase
    return {
        "name": phase.name,
        "trainable": list(phase.trainable),
        "batch_norm": phase.batch_norm,
        "learning_rate": phase.learning_rate,
        "multipliers": dict(phase.multipliers),
        "steps": phase.steps,
        "steps_per_epoch": phase.steps_per_epoch,
        "augmentation": phase.augmentation,
        "computed_from": fitted.computed_from,
        "seconds": round(fitted.seconds, 3),
        "unmoved_variables": list(fitted.unmoved),
    }
