"""A search over pipelines: a trial is one workflow run, judged on validation alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from kft.config import Pipeline, TuningConfig, override_pipeline
from kft.errors import ConfigError, KftError
from kft.training import Display
from kft.workflow import Finished, train


@dataclass(frozen=True)
class Trial:
    """One pipeline that was tried.

    Attributes:
        settings: Path of each searched setting -> value.
        score: On validation: accuracy, or mean absolute error for numbers.
    """

    settings: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        objective: Name of the score.
        trials: Best first.
        finished: The best pipeline, run once more and judged on the holdout.
    """

    objective: str
    trials: tuple[Trial, ...]
    finished: Finished


def tune(pipeline: Pipeline, display: Display) -> Tuned:
    """Search, then run the best pipeline to its end.

    A search that was stopped goes on where it was: KerasTuner keeps its
    trials in RUNS_DIRECTORY/NAME-search.

    Raises:
        ConfigError: A searched setting is none, a value is refused, or there
            is no validation split to choose on.
    """
    check_space(pipeline)
    tuner = PipelineTuner(pipeline, display)
    tuner.search()
    trials = tuple(
        Trial(trial.hyperparameters.values, trial.score)
        for trial in tuner.oracle.get_best_trials(pipeline.tuning.trials)
    )
    best = _overrides(trials[0].settings)
    display.stage(f"\nBest of {len(trials)} trials: {', '.join(best)}. Now to its end.")
    finished = train(override_pipeline(pipeline, best), display)
    return Tuned(tuner.oracle.objective.name, trials, finished)


def check_space(pipeline: Pipeline) -> None:
    """Refuse a search that could not be run, before its first trial.

    Raises:
        ConfigError: A path names no setting, a value is refused, or there is
            no validation split.
    """
    if pipeline.data.validation == 0.0 and pipeline.data.folders.validation is None:
        raise ConfigError(
            "data.validation: 0, but a search chooses on validation, never on the holdout. "
            "Keep a share, for example data.validation=0.2."
        )
    if not pipeline.tuning.space:
        raise ConfigError("tuning.space: names no setting; there is nothing to search.")
    for path, dimension in pipeline.tuning.space.items():
        for value in dimension.values or (dimension.low, dimension.high):
            try:
                override_pipeline(pipeline, _overrides({path: value}))
            except ConfigError as error:
                raise ConfigError(f"tuning.space: {error}") from None


class PipelineTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """KerasTuner's loop, where to run a trial is to run a pipeline.

    Args:
        pipeline: What is varied.
        display: Shows each trial's run.
    """

    def __init__(self, pipeline: Pipeline, display: Display) -> None:
        self._pipeline = pipeline
        self._display = display
        self._done = 0
        runs = Path(pipeline.runs_directory)
        oracle = make_oracle(pipeline.tuning, pipeline.training.seed, _objective_of(pipeline))
        oracle.verbose = 0
        # overwrite=False: what an interrupted search had tried is kept.
        super().__init__(
            oracle, directory=str(runs), project_name=f"{pipeline.name}-search", overwrite=False
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Train the trial's pipeline, and judge it on validation."""
        overrides = _overrides(trial.hyperparameters.values)
        tried = override_pipeline(
            self._pipeline,
            [*overrides, "export.enabled=false", f"name={self._pipeline.name}-trials"],
        )
        self._done += 1
        self._display.stage(f"\nTrial {trial.trial_id}: {', '.join(overrides)}")
        try:
            finished = train(tried, self._display, judged_splits=("validation",))
        except KftError as error:
            # Else KerasTuner would count a wrong pipeline as one more failed trial.
            raise keras_tuner.errors.FatalError(str(error)) from error
        # Each trial builds its graphs anew; without this, memory grows with their number.
        keras.backend.clear_session()
        name = self.oracle.objective.name
        return {name: finished.evaluations["validation"].figures[name]}


def _objective_of(pipeline: Pipeline) -> keras_tuner.Objective:
    is_regression = pipeline.data.target == "number" or pipeline.head.name == "regression"
    if is_regression:
        return keras_tuner.Objective("mean_absolute_error", "min")
    return keras_tuner.Objective("accuracy", "max")


def make_oracle(
    config: TuningConfig, seed: int, objective: keras_tuner.Objective
) -> keras_tuner.Oracle:
    """KerasTuner's oracle over the space of the `tuning` section."""
    space = keras_tuner.HyperParameters()
    for path, dimension in config.space.items():
        if dimension.values:
            space.Choice(path, list(dimension.values))
        else:
            space.Float(path, dimension.low, dimension.high, sampling=dimension.scale)
    oracles = {
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "random": keras_tuner.oracles.RandomSearchOracle,
        "grid": keras_tuner.oracles.GridSearchOracle,
    }
    return oracles[config.oracle](
        objective=objective,
        max_trials=config.trials,
        seed=seed,
        hyperparameters=space,
        allow_new_entries=False,
        tune_new_entries=False,
    )


def _overrides(settings: dict[str, Any]) -> list[str]:
    return [f"{path}={value}" for path, value in settings.items()]
