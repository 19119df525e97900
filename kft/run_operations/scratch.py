"""The same network from random weights, as a rung of a run's ladder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kft.config import Pipeline, StrategyConfig
from kft.display import Display
from kft.errors import ConfigError
from kft.evaluation.ladder import compare_values, read_ladder, write_ladder
from kft.evaluation.prediction_reading import read_predictions
from kft.examples import SplitName
from kft.provenance import load_run_pipeline
from kft.runs import RunDirectory
from kft.runs.layout import read_json
from kft.tasks import task_of_figures
from kft.workflow import Finished, train

_NAME = "from random weights"
_FOLDER = "scratch"
_SPLITS: tuple[SplitName, ...] = ("holdout", "validation")


def compare_with_scratch(finished: Finished, display: Display) -> None:
    """Train the network of a run again from random weights, and add it to the run's ladder.

    The second run lies in the folder `scratch` of the first. It has the same data, splits and
    settings of training, trains every block, and is not exported.

    Args:
        finished: The run.
        display: Shows the progress.

    Raises:
        ConfigError: The run judged nothing, or its backbone has no random weights.
        KftError: The second run failed.
    """
    run = finished.run
    split = next((name for name in _SPLITS if name in finished.evaluations), None)
    if split is None:
        raise ConfigError(f"--scratch: {run.path} judged no split, so nothing can be compared.")
    display.stage("The same network from random weights:")
    other = train(_make_pipeline(run), display, run_id=_FOLDER)
    _add_rung(run, other.run, split, sum(each.seconds for each in other.fitted))


def _make_pipeline(run: RunDirectory) -> Pipeline:
    pipeline = load_run_pipeline(run)
    changes = {
        "backbone": pipeline.backbone.model_copy(update={"weights": "random"}),
        "strategy": StrategyConfig(),
        "export": pipeline.export.model_copy(update={"enabled": False}),
        "runs_directory": str(run.path),
        "name": _FOLDER,
    }
    return pipeline.model_copy(update=changes)


def _add_rung(run: RunDirectory, other: RunDirectory, split: SplitName, seconds: float) -> None:
    folders = run.evaluation(split), other.evaluation(split)
    figures = read_json(folders[0] / "metrics.json")
    task = task_of_figures(figures)
    names = tuple(figures[task.figures.names_key])
    train_targets = np.load(run.train_targets, allow_pickle=False)
    ours, theirs = (
        task.figures.lead_values(found.targets, found.outputs, train_targets)
        for found in (read_predictions(folder, task, names) for folder in folders)
    )
    rungs, points = read_ladder(folders[0])
    scratch, _ = read_ladder(folders[1])
    if ours is None or theirs is None or not rungs or not scratch:
        return
    rung = replace(
        scratch[-1],
        name=_NAME,
        seconds=seconds,
        difference=compare_values(theirs, ours, is_share=task.is_stratified),
    )
    write_ladder(folders[0], (*rungs[:-1], rung, rungs[-1]), points)
