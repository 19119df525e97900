"""What came of a phase."""

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
    """Where a phase's files go, and what a person sees of it.

    Attributes:
        folder: For history.csv, phase.json and TensorBoard's files.
        title: Of the progress bar.
        display: Shows the progress.
    """

    folder: Path
    title: str
    display: Display

    def write(self, fitted: FittedPhase) -> None:
        """Write phase.json."""
        write_json(self.folder / "phase.json", describe_phase(fitted))


@dataclass(frozen=True)
class FittedPhase:
    """What came of one phase.

    Attributes:
        phase: As it was planned.
        history: One row an epoch: loss and metrics, of validation too.
        seconds: From compile to the last step.
        computed_from: 'pixels', or the name of the cut.
        unmoved: Trainable variables whose gradient was exactly zero throughout.
        first_step_seconds: From compile to the end of the first step, which
            holds the tracing, and the trials of candidates; 0 for a phase
            without steps.
        steps_done: Fewer than the phase's where a callback ended it.
        traces: How often the training step was traced.
        waiting_share: Share of the steps' time in which they waited for data, the first step
            left out; None where it was not measured.
        is_undone: Whether the weights are those from before the phase: it was
            no better than they are.
        facts: JSON values: what was solved, tried, compared or averaged.
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
    def has_won(self) -> bool:
        """Whether it was compared with its start on validation, and was better beyond chance."""
        return bool(self.facts.get("comparison", {}).get("is_better"))


def describe_phase(fitted: FittedPhase) -> dict[str, Any]:
    """What phase.json holds, as JSON values."""
    phase, scope = fitted.phase, fitted.phase.scope
    return {
        "name": phase.name,
        "method": phase.method,
        "learns_from": list(phase.learns_from),
        "trainable": list(scope.trainable),
        "part": scope.part,
        "lora": scope.lora.model_dump(mode="json") if scope.lora else None,
        "batch_norm": scope.batch_norm,
        # A solution has none of the others.
        **{each.name: getattr(phase.recipe, each.name, None) for each in fields(Fit)},
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


def resolve_phase(phase: Phase, before: FittedPhase | None) -> Phase:
    """A phase as it is run, where what it does depends on what came of the one before.

    Args:
        phase: As planned.
        before: What came of the phase before it; None for the first.
    """
    if phase.fallback is None:
        return phase
    assert before is not None, "the first phase depends on none"
    if not before.has_won:
        return phase.fallback
    return replace(phase.at_rate(before.phase.fit.learning_rate), fallback=None)


def pack_fitted(fitted: FittedPhase) -> dict[str, Any]:
    """JSON values; of the phase itself what may have been chosen among candidates."""
    packed = {each.name: getattr(fitted, each.name) for each in fields(fitted)}
    phase = fitted.phase
    rate = phase.fit.learning_rate if phase.method == "fit" else None
    chosen = {"learning_rate": rate, "trainable": list(phase.scope.trainable)}
    return {**packed, "phase": chosen, "facts": dict(fitted.facts)}


def unpack_fitted(phase: Phase, packed: Mapping[str, Any]) -> FittedPhase:
    """What `pack_fitted` packed, of a phase as it was resolved."""
    chosen = packed["phase"]
    was = replace(phase, scope=replace(phase.scope, trainable=tuple(chosen["trainable"])))
    if phase.method == "fit":
        was = was.at_rate(chosen["learning_rate"])
    return FittedPhase(**{**packed, "phase": was, "unmoved": tuple(packed["unmoved"])})
