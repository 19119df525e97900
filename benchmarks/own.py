"""What kft is measured by: runs under a stopwatch. Called in processes of their own."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from kft.config import load_pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.planning.block_rows import describe_blocks
from kft.startup import start_tensorflow
from kft.training import FittedPhase
from kft.workflow import Finished, make_plan
from kft.workflow import train as run_workflow

start_tensorflow()


@dataclass
class Lap:
    """One thing that a run shows the progress of; times are seconds since its start.

    Attributes:
        label: What is done.
        begun: When it began.
        ticks: When each step, or part, was done.
        ended: When it ended.
        note: What was said of it last.
    """

    label: str
    begun: float
    ticks: list[float] = field(default_factory=list)
    ended: float = 0.0
    note: str = ""


class Stopwatch(Display):
    """Shows nothing, and remembers when everything began and ended."""

    def __init__(self, nowhere: Any) -> None:
        super().__init__(Console(file=nowhere))
        self._begun = time.monotonic()
        self.laps: list[Lap] = []

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun

    @contextmanager
    def track(self, label: str, total: int = 0) -> Iterator[Callable[..., None]]:
        """As a display that prints."""
        lap = Lap(label.strip(), self.now())
        self.laps.append(lap)

        def advance(done: int, total: int | None = None, note: str | None = None) -> None:
            lap.ticks.append(self.now())
            lap.note = lap.note if note is None else note

        yield advance
        lap.ended = self.now()

    def starting_with(self, *labels: str) -> list[Lap]:
        """Laps in order."""
        return [lap for lap in self.laps if lap.label.startswith(labels)]


def train(
    data: str, settings: Sequence[str], *, seed: int = 0, outputs: str | None = None
) -> dict[str, Any]:
    """One run without export: accuracy on the holdout, and where the seconds went.

    Args:
        data: What `kft train` would be given.
        settings: Overrides.
        seed: Of training.
        outputs: File for the probabilities of the holdout.

    Returns:
        `seconds` of the whole run; `load_seconds` of them to the first look at
        the files, which load the backbone; `fit_seconds` from the first look at the
        files to the end of the last phase, the backbone being loaded before;
        `features_seconds` of the feature store, and what computed them, by
        split; `step_seconds`, the mean after
        the first of the last phase; `accuracy`; `phases`.
    """
    with tempfile.TemporaryDirectory() as runs, Path(os.devnull).open("w") as nowhere:
        own = (f"training.seed={seed}", "export.enabled=false", f"runs_directory={runs}")
        pipeline = load_pipeline(data, (*settings, *own))
        watch = Stopwatch(nowhere)
        finished = run_workflow(pipeline, watch)
        seconds = watch.now()
    if outputs is not None:
        assert finished.evaluation is not None
        np.save(outputs, finished.evaluation.outputs)
    # The data are looked at first, and each phase's last lap is its own.
    first, last = watch.laps[0], watch.starting_with("Phase ", "trial of ", "short run ")[-1]
    features = watch.starting_with("Features of ")
    figures = finished.evaluation.figures if finished.evaluation else {}
    return {
        "seconds": seconds,
        "load_seconds": first.begun,
        "fit_seconds": last.ended - first.begun,
        "features_seconds": sum(lap.ended - lap.begun for lap in features),
        "computed": [lap.note.strip("()") for lap in features],
        "step_seconds": _step_seconds(last, finished.fitted[-1].steps_done),
        "accuracy": figures.get("accuracy"),
        "calibration_error": figures.get("calibration", {}).get("expected_calibration_error"),
        "phases": _describe_phases(finished, watch),
    }


def train_if_allowed(data: str, settings: Sequence[str]) -> dict[str, Any]:
    """What `train` returns, or `refused`, the reason why kft does not do it."""
    try:
        return train(data, settings)
    except ConfigError as error:
        return {"refused": str(error)}


def count_trainable(data: str, settings: Sequence[str]) -> int:
    """Parameters that gradients change in the phase that changes most of them."""
    with Path(os.devnull).open("w") as nowhere:
        pipeline = load_pipeline(data, settings)
        plan = make_plan(pipeline, Stopwatch(nowhere))
    return max(
        sum(row.trainable_parameters for row in describe_blocks(plan.assembled, phase, cut=None))
        for phase in plan.phases
    )


def _step_seconds(lap: Lap, steps: int) -> float | None:
    return (lap.ticks[-1] - lap.ticks[0]) / (steps - 1) if steps > 1 else None


def _describe_phases(finished: Finished, watch: Stopwatch) -> list[dict[str, Any]]:
    left = list(watch.starting_with("Phase ", "trial of ", "short run "))
    described = []
    for number, fitted in enumerate(finished.fitted, start=1):
        # A phase that tries candidates has a lap for each before its own; one that only compares
        # has no lap of its own.
        laps: list[Lap] = []
        while left and left[0].label.startswith(("trial of ", "short run ", f"Phase {number} ")):
            laps.append(left.pop(0))
            if laps[-1].label.startswith("Phase "):
                break
        described.append(_describe_phase(fitted, laps))
    return described


def _describe_phase(fitted: FittedPhase, laps: Sequence[Lap]) -> dict[str, Any]:
    candidates = fitted.facts.get("candidates", {}).get("tried", [])
    candidates = fitted.facts.get("short_runs", {}).get("tried", candidates)
    fit = fitted.phase.fit if fitted.phase.method == "fit" else None
    return {
        "name": fitted.phase.name,
        "seconds": fitted.seconds,
        # Of the run, and at its first trial where it tries candidates.
        "seconds_to_first_step": laps[0].ticks[0] if fit and laps else None,
        "steps": fit.steps if fit else 0,
        "computed_from": fitted.computed_from,
        "traces": fitted.traces,
        "num_tried": len(candidates),
        "learning_rate": fit.learning_rate if fit else None,
        "is_undone": fitted.is_undone,
    }
