"""A search over pipelines: a trial is one workflow run, judged on validation alone."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner

from kft.config import Pipeline, TuningConfig, override_pipeline
from kft.data.batches.service import ServiceError
from kft.display import Display
from kft.errors import BackboneError, ConfigError, DataError, KftError, TrainingError
from kft.runs import find_finished
from kft.runs.layout import read_json
from kft.training.stopping import Interrupted
from kft.tuning.space import (
    Refusal,
    check_space,
    describe_combination,
    describe_refused,
    find_refused,
    make_overrides,
    make_trial_pipeline,
)
from kft.workers import read_cluster
from kft.workflow import Finished, Plan, make_plan, train
from kft.workflow.agreement import describe_settings


@dataclass(frozen=True)
class Trial:
    """One pipeline that was tried.

    Attributes:
        settings: Path of each searched setting -> value.
        score: On validation: accuracy; for numbers the mean absolute error in deviations of
            the training targets.
    """

    settings: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        objective: Name of the score.
        trials: Best first.
        refused: The trials that were refused or failed.
        finished: The best pipeline, run once more and judged on the holdout.
    """

    objective: str
    trials: tuple[Trial, ...]
    refused: tuple[Refusal, ...]
    finished: Finished


def tune(pipeline: Pipeline, display: Display) -> Tuned:
    """Search, then run the best pipeline to its end.

    A search that was stopped goes on where it was: its trials are the runs
    RUNS_DIRECTORY/NAME-trials/DIGEST-NUMBER. Those that are finished are not
    run again, and one that was stopped is resumed. Of other data, settings,
    weights or versions there is another digest, and so another search.

    A trial whose pipeline is refused for its combination of settings is out,
    with its reason, and the search goes on.

    Raises:
        ConfigError: A searched setting is none, a value or every combination
            is refused, or there is no validation split to choose on.
        TrainingError: Every trial failed.
    """
    check_space(pipeline)
    if read_cluster() is not None:
        raise ConfigError(
            "TF_CONFIG names several workers, but a search trains in one process. Unset it."
        )
    # What would stop every trial is told now, and the data say what a trial is judged by.
    plan = make_plan(pipeline, display)
    if not len(plan.splits.validation):
        raise ConfigError(
            "data.validation: there are no validation examples, but a search chooses on them, "
            "never on the holdout. Keep a share, for example data.validation=0.2."
        )
    for line in describe_refused(pipeline.tuning, *find_refused(pipeline, plan)):
        display.stage(line)
    with tempfile.TemporaryDirectory(prefix="kft-search-") as scratch:
        tuner = PipelineTuner(
            pipeline, display, plan.splits.task.objective, identify(plan), scratch
        )
        try:
            tuner.search()
        except keras_tuner.errors.FatalError as error:
            raise error.__cause__ or error from None
    trials = tuple(
        Trial(trial.hyperparameters.values, trial.score)
        for trial in tuner.oracle.get_best_trials(pipeline.tuning.trials)
        # KerasTuner also gives those that failed.
        if trial.score is not None
    )
    if not trials:
        raise _make_error(tuner.refused)
    best = make_overrides(trials[0].settings)
    display.stage(f"\nBest of {len(trials)} trials: {', '.join(best)}. Now to its end.")
    finished = train(override_pipeline(pipeline, best), display)
    return Tuned(tuner.oracle.objective.name, trials, tuple(tuner.refused), finished)


def _make_error(refused: Sequence[Refusal]) -> KftError:
    """What is raised where no trial came to its end."""
    lines = "\n".join(f"  - {refusal}" for refusal in refused)
    if any(refusal.is_failure for refusal in refused):
        what = "every trial of the search failed; where they diverged, search lower learning rates"
        return TrainingError(f"{what}\n{lines}")
    return ConfigError(f"tuning.space: every trial of the search was refused\n{lines}")


def identify(plan: Plan) -> str:
    """A digest of all that the scores depend on, so that only the same search goes on.

    The number of trials is none of it: more may be asked for later.
    """
    causes = {
        **describe_settings(plan.pipeline),
        "tuning.trials": None,
        "data": plan.splits.fingerprint,
        "weights": plan.assembled.backbone.sha256,
    }
    return hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()[:12]


class PipelineTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """KerasTuner's loop, where to run a trial is to run a pipeline.

    What KerasTuner writes down is not enough to go on as if nothing had
    happened: its grid forgets which combinations come next, its Bayesian
    search where its random numbers stood. So its oracle begins anew each time
    and is given the scores of the trials that are finished; of one seed, it
    then asks for the same trials.

    Args:
        pipeline: What is varied.
        display: Shows each trial's run.
        objective: Name of the figure, and 'max' or 'min'.
        digest: Of the search; the names of its trials' runs begin with it.
        scratch: An empty folder for KerasTuner's own files.

    Attributes:
        refused: The trials that are out, with the reason.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        display: Display,
        objective: tuple[str, str],
        digest: str,
        scratch: str,
    ) -> None:
        self._pipeline = pipeline
        self._display = display
        self._digest = digest
        self.refused: list[Refusal] = []
        oracle = make_oracle(pipeline.tuning, pipeline.training.seed, objective)
        oracle.verbose = 0
        # Else KerasTuner prints the traceback of a trial that diverged; the display says why.
        keras_tuner.src.config.DEBUG = False
        super().__init__(oracle, directory=scratch)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Train the trial's pipeline, and judge it on validation; or what is known of it."""
        settings = trial.hyperparameters.values
        self._display.stage(f"\nTrial {trial.trial_id}: {describe_combination(settings)}")
        # KerasTuner pads its numbers to the length of the largest.
        run_id = f"{self._digest}-{int(trial.trial_id)}"
        try:
            figures = self._judge(make_trial_pipeline(self._pipeline, settings), run_id)
        except Interrupted as stopped:
            # Not with the trial alone, which the search would not hear of.
            stopped.args = ("stopped; the same command goes on with the search",)
            raise
        except Exception as error:
            if not _is_due_to(error, settings):
                # Else KerasTuner would count what stops every trial as one more failed trial.
                raise keras_tuner.errors.FatalError(str(error)) from error
            refusal = Refusal(settings, str(error), isinstance(error, TrainingError))
            self.refused.append(refusal)
            self._display.stage(f"  this trial is out: {error}")
            keras.backend.clear_session()
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        name = self.oracle.objective.name
        return {name: figures[name]}

    def _judge(self, tried: Pipeline, run_id: str) -> Mapping[str, float]:
        """Figures on validation, of a run that is finished or is now brought to its end."""
        figures: Mapping[str, float]
        known = find_finished(tried.runs_directory, tried.name, run_id)
        if known is not None:
            self._display.stage(f"  finished before: {known.path}")
            figures = read_json(known.evaluation("validation") / "metrics.json")
            return figures
        finished = train(
            tried,
            self._display,
            run_id=run_id,
            or_resume=True,
            judged_splits=("validation",),
        )
        # Each trial builds its graphs anew; without this, memory grows with their number.
        keras.backend.clear_session()
        figures = finished.evaluations["validation"].figures
        return figures


def _is_due_to(error: Exception, settings: Mapping[str, Any]) -> bool:
    """Whether an error comes from the combination of settings, and not from what all have.

    Data and backbone were found to be fine for the pipeline as it was given: they are the fault
    of a combination only where it changes them.
    """
    sections = {path.partition(".")[0] for path in settings}
    if isinstance(error, BackboneError):
        return "backbone" in sections
    if isinstance(error, DataError):
        return "data" in sections
    is_of_training = isinstance(error, TrainingError) and not isinstance(error, ServiceError)
    return is_of_training or isinstance(error, ConfigError)


def make_oracle(config: TuningConfig, seed: int, objective: tuple[str, str]) -> keras_tuner.Oracle:
    """KerasTuner's oracle over the space of the `tuning` section."""
    space = keras_tuner.HyperParameters()
    for path, dimension in config.space.items():
        if dimension.values:
            space.Choice(path, _of_one_type(dimension.values))
        elif isinstance(dimension.low, int) and isinstance(dimension.high, int):
            space.Int(path, dimension.low, dimension.high, sampling=dimension.scale)
        else:
            space.Float(path, dimension.low, dimension.high, sampling=dimension.scale)
    oracles = {
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "random": keras_tuner.oracles.RandomSearchOracle,
        "grid": keras_tuner.oracles.GridSearchOracle,
    }
    return oracles[config.oracle](
        objective=keras_tuner.Objective(*objective),
        max_trials=config.trials,
        # KerasTuner would give up after three in a row, with an error of its own.
        max_consecutive_failed_trials=config.trials + 1,
        # Of 0 it would make a random one.
        seed=seed + 1,
        hyperparameters=space,
        allow_new_entries=False,
        tune_new_entries=False,
    )


def _of_one_type(values: tuple[Any, ...]) -> list[Any]:
    """KerasTuner takes no whole numbers beside fractions."""
    has_fraction = any(isinstance(value, float) for value in values)
    return [float(value) for value in values] if has_fraction else list(values)
