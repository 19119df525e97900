"""Result of a phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kft.display import Display
from kft.runs.atomic import write_json
from kft.strategies import Phase
from kft.strategies.phases import Fit


@dataclass(frozen=True)
class PhaseReport:
    """Folder and display for the output of a phase.

    Attributes:
        folder: Folder of history.csv, phase.json and TensorBoard's files.
        title: Title of the progress bar.
        display: Display of the progress.
        callbacks: Callbacks of the trackers.
    """

    folder: Path
    title: str
    display: Display
    callbacks: tuple[Any, ...] = ()

    def write(self, fitted: FittedPhase) -> None:
        """Write phase.json."""
        write_json(self.folder / "phase.json", describe_phase(fitted))


@dataclass(frozen=True)
class FittedPhase:
    """Result of one phase.

    Attributes:
        phase: The phase that was run.
        history: One row per epoch: loss and metrics of training and validation.
        seconds: Time from compilation to the last step.
        computed_from: 'inputs', or the name of the cut.
        unmoved: Trainable variables that did not change, because their
            gradient was exactly zero.
        first_step_seconds: Time from compilation to the end of the first step,
            including tracing and trials of candidates; 0 for a phase without
            steps.
        steps_done: Number of steps taken, fewer than planned if a callback
            ended the phase.
        traces: Number of traces of the training step.
        waiting_share: Share of the steps' time spent waiting for data, without the first step;
            None if it was not measured.
        is_undone: Whether the start weights were restored because the phase
            was not better.
        facts: JSON values about solutions, decisions, comparisons and averages.
    """

    phase: Phase
    history: list[dict[str, float]]
    seconds: float
    computed_from: str
    unmoved: tuple[str, ...]
    first_step_seconds: float = 0.0
    steps_done: int = 0
    traces: int = 0
    waiting_share: float | None = None
    is_undone: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def temperature(self) -> float | None:
        """Temperature that the logits were divided by; None for none."""
        found: float | None = self.facts.get("temperature")
        return found

    @property
    def share(self) -> float:
        """Share of the trained weights in the blend with the phase's start."""
        found: float = self.facts.get("blend", {}).get("share", 1.0)
        return found


def describe_phase(fitted: FittedPhase) -> dict[str, Any]:
    """Return the JSON values of phase.json."""
    phase, scope = fitted.phase, fitted.phase.scope
    return {
        "name": phase.name,
        "method": phase.method,
        "learns_from": list(phase.learns_from),
        "trainable": list(scope.trainable),
        "part": scope.part,
        "lora": scope.lora.model_dump(mode="json") if scope.lora else None,
        "batch_norm": scope.batch_norm,
        # A solution has only the augmentation of these fields.
        **{each.name: getattr(phase.recipe, each.name, None) for each in fields(Fit)},
        "share": fitted.share,
        "steps_done": fitted.steps_done,
        "computed_from": fitted.computed_from,
        "seconds": round(fitted.seconds, 3),
        "first_step_seconds": round(fitted.first_step_seconds, 3),
        "traces": fitted.traces,
        "waiting_share": fitted.waiting_share and round(fitted.waiting_share, 4),
        "unmoved_variables": list(fitted.unmoved),
        "is_undone": fitted.is_undone,
        **fitted.facts,
    }


def pack_fitted(fitted: FittedPhase) -> dict[str, Any]:
    """Pack a result as JSON values; of its phase, only what its decisions may change."""
    packed = {each.name: getattr(fitted, each.name) for each in fields(fitted)}
    phase = fitted.phase
    is_fitted = phase.method == "fit"
    chosen = {
        "learning_rate": phase.fit.learning_rate if is_fitted else None,
        "steps": phase.fit.steps if is_fitted else None,
        "trainable": list(phase.scope.trainable),
    }
    return {**packed, "phase": chosen, "facts": dict(fitted.facts)}


def unpack_fitted(phase: Phase, packed: Mapping[str, Any]) -> FittedPhase:
    """Unpack a result from `pack_fitted`, given its planned phase."""
    chosen = packed["phase"]
    was = replace(phase, scope=replace(phase.scope, trainable=tuple(chosen["trainable"])))
    if phase.method == "fit":
        was = was.at_rate(chosen["learning_rate"]).shortened(chosen["steps"])
    return FittedPhase(**{**packed, "phase": was, "unmoved": tuple(packed["unmoved"])})
