"""Search over pipelines; a trial is one run, judged on validation only."""

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
        settings: Value of each searched setting, by its path.
        score: Score on validation: accuracy; for numbers the mean absolute error in standard
            deviations of the training targets.
    """

    settings: dict[str, Any]
    score: float


@dataclass(frozen=True)
class Tuned:
    """The result of a search.

    Attributes:
        objective: Name of the score.
        trials: Trials, best first.
        refused: Trials that were refused or failed.
        finished: Run of the best pipeline, judged on the holdout.
    """

    objective: str
    trials: tuple[Trial, ...]
    refused: tuple[Refusal, ...]
    finished: Finished


def tune(pipeline: Pipeline, display: Display) -> Tuned:
    """Search, then run the best pipeline in full.

    A search that was stopped resumes where it was: its trials are the runs
    RUNS_DIRECTORY/NAME-trials/DIGEST-NUMBER. Finished trials are not run
    again, and a trial that was stopped is resumed. The digest depends on data,
    settings, weights and versions: if one of them changes, a new search begins.

    A trial whose combination of settings is refused is dropped, with its
    reason, and the search continues.

    Raises:
        ConfigError: A path is not a setting, a value or every combination is
            refused, or there is no validation split to choose on.
        TrainingError: Every trial failed.
    """
    check_space(pipeline)
    if read_cluster() is not None:
        raise ConfigError(
            "TF_CONFIG names several workers, but a search trains in one process. Unset it."
        )
    # Raises errors that would stop every trial; and the data decide the objective.
    plan = make_plan(pipeline, display)
    if not len(plan.splits.validation):
        raise ConfigError(
            "data.validation: there are no validation examples, but a search needs them to choose "
            "on, and never uses the holdout. Set a share, for example data.validation=0.2."
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
        # KerasTuner's list includes failed trials.
        if trial.score is not None
    )
    if not trials:
        raise _make_error(tuner.refused)
    best = make_overrides(trials[0].settings)
    display.stage(f"\nBest of {len(trials)} trials: {', '.join(best)}. Running it in full.")
    finished = train(override_pipeline(pipeline, best), display)
    return Tuned(tuner.oracle.objective.name, trials, tuple(tuner.refused), finished)


def _make_error(refused: Sequence[Refusal]) -> KftError:
    """Make the error for a search without a finished trial."""
    lines = "\n".join(f"  - {refusal}" for refusal in refused)
    if any(refusal.is_failure for refusal in refused):
        failure = "every trial of the search failed; if they diverged, search lower learning rates"
        return TrainingError(f"{failure}\n{lines}")
    return ConfigError(f"tuning.space: every trial of the search was refused\n{lines}")


def identify(plan: Plan) -> str:
    """Digest everything that the scores depend on, so that only the same search is resumed.

    The number of trials is left out: more may be wanted later.
    """
    causes = {
        **describe_settings(plan.pipeline),
        "tuning.trials": None,
        "data": plan.splits.fingerprint,
        "weights": plan.assembled.backbone.sha256,
    }
    return hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()[:12]


class PipelineTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """KerasTuner's loop with a pipeline run as each trial.

    KerasTuner's own files are not enough to resume a search exactly: its grid
    forgets which combinations come next, its Bayesian search the state of its
    random numbers. So the oracle always starts over and is given the scores of
    the finished trials; with the same seed, it proposes the same trials.

    Args:
        pipeline: Pipeline to vary.
        display: Shows each trial's run.
        objective: Name of the figure, and 'max' or 'min'.
        digest: Digest of the search; the names of its trials' runs begin with it.
        scratch: An empty folder for KerasTuner's own files.

    Attributes:
        refused: Trials that were refused or failed, with the reason.
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
        # By default KerasTuner prints the traceback of a trial that diverged; the display gives
        # the reason instead.
        keras_tuner.src.config.DEBUG = False
        super().__init__(oracle, directory=scratch)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Train the trial's pipeline and judge it on validation, or read its recorded figures."""
        settings = trial.hyperparameters.values
        self._display.stage(f"\nTrial {trial.trial_id}: {describe_combination(settings)}")
        # KerasTuner pads its numbers to the length of the largest.
        run_id = f"{self._digest}-{int(trial.trial_id)}"
        try:
            figures = self._judge(make_trial_pipeline(self._pipeline, settings), run_id)
        except Interrupted as stopped:
            # Resuming only the trial's run would not resume the search.
            stopped.args = ("stopped; run the same command to resume the search",)
            raise
        except Exception as error:
            if not _is_due_to(error, settings):
                # KerasTuner would count it as a failed trial, but it would stop every trial.
                raise keras_tuner.errors.FatalError(str(error)) from error
            refusal = Refusal(settings, str(error), isinstance(error, TrainingError))
            self.refused.append(refusal)
            self._display.stage(f"  trial dropped: {error}")
            keras.backend.clear_session()
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        name = self.oracle.objective.name
        return {name: figures[name]}

    def _judge(self, tried: Pipeline, run_id: str) -> Mapping[str, float]:
        """Read the validation figures of the trial's run, which is trained or resumed if needed."""
        figures: Mapping[str, float]
        known = find_finished(tried.runs_directory, tried.name, run_id)
        if known is not None:
            self._display.stage(f"  already finished: {known.path}")
            figures = read_json(known.evaluation("validation") / "metrics.json")
            return figures
        finished = train(
            tried,
            self._display,
            run_id=run_id,
            resume_if_started=True,
            judged_splits=("validation",),
        )
        # Each trial builds its own graphs; without this, memory would grow with every trial.
        keras.backend.clear_session()
        figures = finished.evaluations["validation"].figures
        return figures


def _is_due_to(error: Exception, settings: Mapping[str, Any]) -> bool:
    """Whether an error is due to the trial's settings, rather than common to all trials.

    Data and backbone were valid for the original pipeline: their errors are due to a trial only
    if it changes them.
    """
    sections = {path.partition(".")[0] for path in settings}
    if isinstance(error, BackboneError):
        return "backbone" in sections
    if isinstance(error, DataError):
        return "data" in sections
    is_of_training = isinstance(error, TrainingError) and not isinstance(error, ServiceError)
    return is_of_training or isinstance(error, ConfigError)


def make_oracle(config: TuningConfig, seed: int, objective: tuple[str, str]) -> keras_tuner.Oracle:
    """Make KerasTuner's oracle over the space of the `tuning` section."""
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
        # By default KerasTuner gives up after three failures in a row, with its own error.
        max_consecutive_failed_trials=config.trials + 1,
        # KerasTuner replaces a seed of 0 by a random one.
        seed=seed + 1,
        hyperparameters=space,
        allow_new_entries=False,
        tune_new_entries=False,
    )


def _of_one_type(values: tuple[Any, ...]) -> list[Any]:
    """Convert numbers to floats if any is one, because KerasTuner does not mix types."""
    has_fraction = any(isinstance(value, float) for value in values)
    return [float(value) for value in values] if has_fraction else list(values)
