"""Trackers of experiments: MLflow and Weights & Biases, through their own libraries."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras

from kft.display import Display
from kft.errors import ConfigError, first_line

# MLflow keeps that much of a parameter.
_LONGEST_VALUE = 500


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker shows it.

    Attributes:
        path: Path of the run.
        project: Name of the pipeline.
        settings: Every setting by its path.
    """

    path: Path
    project: str
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.absolute().name

    @property
    def key(self) -> str:
        """Identifier by which a resumed run finds its record."""
        return hashlib.sha256(str(self.path.absolute()).encode()).hexdigest()[:16]


class Tracker(Protocol):
    """Tracker of one run."""

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Record figures after an epoch."""

    def end(self, figures: Mapping[str, float], *, is_finished: bool) -> None:
        """Record the figures of the finished run, and end the record."""


class MlflowTracker:
    """Record in MLflow: at MLFLOW_TRACKING_URI, or else in `mlflow.db` beside all runs.

    Args:
        run: The run.
    """

    def __init__(self, run: TrackedRun) -> None:
        from mlflow import MlflowClient

        beside = run.path.absolute().parents[1] / "mlflow.db"
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{beside}"
        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(run.project)
        place = (
            self._client.create_experiment(run.project) if found is None else found.experiment_id
        )
        earlier = self._client.search_runs([place], f"tags.`kft.key` = '{run.key}'")
        if earlier:
            self._id = earlier[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        tags = {"mlflow.runName": run.name, "kft.key": run.key, "kft.run": str(run.path)}
        self._id = self._client.create_run(place, tags=tags).info.run_id
        for name, value in run.settings.items():
            self._client.log_param(self._id, name, str(value)[:_LONGEST_VALUE])

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        for name, value in figures.items():
            self._client.log_metric(self._id, name, value, step=step)

    def end(self, figures: Mapping[str, float], *, is_finished: bool) -> None:
        """See `Tracker`."""
        self.log(figures, 0)
        self._client.set_terminated(self._id, "FINISHED" if is_finished else "FAILED")


class WandbTracker:
    """Record in Weights & Biases: offline in the run's folder, unless WANDB_MODE says otherwise.

    Args:
        run: The run.
    """

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        self._run = wandb.init(
            project=run.project,
            name=run.name,
            id=run.key,
            resume="allow",
            dir=str(run.path),
            mode=os.environ.get("WANDB_MODE", "offline"),
            config=dict(run.settings),
            settings=wandb.Settings(silent=True),
        )

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """See `Tracker`; the phases have an epoch each, because steps must rise over all."""
        self._run.log({**figures, "epoch": step})

    def end(self, figures: Mapping[str, float], *, is_finished: bool) -> None:
        """See `Tracker`."""
        self._run.summary.update(dict(figures))
        self._run.finish(exit_code=0 if is_finished else 1)


# The name of a tracker is that of its package and of kft's extra.
_TRACKERS: dict[str, Callable[[TrackedRun], Tracker]] = {
    "mlflow": MlflowTracker,
    "wandb": WandbTracker,
}


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers whose library is not installed.

    Raises:
        ConfigError: A library is missing.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"training.trackers: {', '.join(missing)} is not installed. Run "
            f"`pip install 'kft[{','.join(missing)}]'`, or remove it from the list."
        )


class Trackers:
    """The trackers of a run; one that fails later is left out, and the training goes on.

    Args:
        display: Shows which tracker failed.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._trackers: dict[str, Tracker] = {}

    def begin(self, names: Sequence[str], run: TrackedRun) -> None:
        """Begin the records of a run, or go on with those of a resumed one.

        Args:
            names: Names of the trackers.
            run: The run.

        Raises:
            ConfigError: A tracker cannot be started.
        """
        for name in names:
            try:
                self._trackers[name] = _TRACKERS[name](run)
            # Each library has errors of its own, of networks and data bases.
            except Exception as error:
                raise ConfigError(
                    f"training.trackers: {name} cannot be started: {first_line(error)}"
                ) from error

    def watch(self, phase: str) -> tuple[keras.callbacks.Callback, ...]:
        """Make the callback that records the epochs of a phase; none without trackers."""
        return (_EpochFigures(self, phase),) if self._trackers else ()

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Record figures with every tracker."""
        for name, tracker in list(self._trackers.items()):
            try:
                tracker.log(figures, step)
            except Exception as error:
                self._leave_out(name, error)

    def end(self, figures: Mapping[str, Any] | None) -> None:
        """End the records.

        Args:
            figures: Figures of the finished run, by name; None if it failed or was interrupted.
        """
        numbers = {
            name: float(value)
            for name, value in (figures or {}).items()
            if isinstance(value, int | float)
        }
        for name, tracker in list(self._trackers.items()):
            try:
                tracker.end(numbers, is_finished=figures is not None)
            except Exception as error:
                self._leave_out(name, error)
        self._trackers.clear()

    def _leave_out(self, name: str, error: Exception) -> None:
        del self._trackers[name]
        self._display.stage(f"training.trackers: {name} failed and is left out: {error}")


class _EpochFigures(keras.callbacks.Callback):
    """Callback that records loss and metrics of each epoch, named by the phase."""

    def __init__(self, trackers: Trackers, phase: str) -> None:
        super().__init__()
        self._trackers, self._phase = trackers, phase

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the epoch."""
        figures = {f"{self._phase}/{name}": float(value) for name, value in (logs or {}).items()}
        self._trackers.log(figures, epoch + 1)
