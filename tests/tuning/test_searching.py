"""A search chooses on validation, judges the holdout once, and resumes after a stop."""

import errno
import re
import signal
from types import SimpleNamespace

import keras_tuner
import numpy as np
import pytest

from kft.cli import output
from kft.config import load_pipeline
from kft.data.batches.service import ServiceError
from kft.display import Display
from kft.errors import (
    BackboneError,
    ConfigError,
    DataError,
    KftError,
    RunError,
    StorageError,
)
from kft.runs import create_run, find_runs
from kft.runs.atomic import write_json
from kft.training.stopping import Interrupted
from kft.tuning import searching
from kft.tuning.searching import (
    PipelineTuner,
    Trial,
    Tuned,
    identify,
    make_oracle,
    tune,
)
from kft.tuning.space import Refusal, check_space
from kft.workflow import make_plan

SETTINGS = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.options.width=4",
    "strategy.name=linear_probe",
    "strategy.probe=trained",
    "training.global_batch_size=8",
    "export.enabled=false",
    "tuning.oracle=grid",
    "tuning.space={strategy.probe_duration: {values: [1 steps, 40 epochs]}}",
)


@pytest.mark.full
def test_the_better_value_wins_and_only_the_winner_sees_the_holdout(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog", "owl"), per_class=20, size=24)
    pipeline = load_pipeline(
        str(tmp_path / "photos"), (*SETTINGS, "tuning.trials=2", f"runs_directory={tmp_path}/runs")
    )
    tuned = tune(pipeline, Display())
    assert tuned.objective == "accuracy"
    tried = {trial.settings["strategy.probe_duration"] for trial in tuned.trials}
    assert tried == {"1 steps", "40 epochs"}
    best, other = tuned.trials
    assert best.score > other.score
    assert best.settings["strategy.probe_duration"] == "40 epochs"
    assert tuned.finished.fitted[0].phase.fit.epochs == 40
    judged = [run for run in find_runs(tmp_path / "runs") if run.evaluation("holdout").exists()]
    assert [run.path for run in judged] == [tuned.finished.run.path]
    # A second search finds its trials finished, and runs only the best pipeline.
    before = len(find_runs(tmp_path / "runs"))
    again = tune(pipeline, Display())
    assert again.trials == tuned.trials
    assert len(find_runs(tmp_path / "runs")) == before + 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("tuning.space={strategy.lerning_rate: {values: [1]}}",), "lerning_rate"),
        (("tuning.space={head.dropout: {values: [0.2, 2]}}",), "head.dropout"),
        (("tuning.space={}",), "tuning.space: empty"),
    ],
)
def test_an_invalid_search_is_refused_before_its_first_trial(overrides, message):
    with pytest.raises(ConfigError, match=message):
        check_space(load_pipeline("photos", (*SETTINGS, *overrides)))


@pytest.mark.parametrize(
    "dimension", ["{low: 1}", "{values: [1], low: 0, high: 1}", "{low: 2, high: 1}", "{}"]
)
def test_a_dimension_is_values_or_a_range(dimension):
    with pytest.raises(ConfigError, match=r"tuning\.space"):
        load_pipeline("photos", [f"tuning.space={{head.dropout: {dimension}}}"])


def refused_search(place, *overrides):
    pipeline = load_pipeline(
        str(place / "photos"), (*SETTINGS, f"runs_directory={place}/runs", *overrides)
    )
    with pytest.raises(KftError) as refused:
        tune(pipeline, Display())
    return refused.value


def test_errors_that_would_stop_every_trial_are_raised_before_the_first(
    tmp_path, make_picture_folder
):
    assert isinstance(refused_search(tmp_path), DataError)
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    assert isinstance(refused_search(tmp_path, "backbone.name=resnet5"), BackboneError)
    assert "never uses the holdout" in str(refused_search(tmp_path, "data.validation=0"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.full
def test_a_search_in_which_all_trials_diverge_says_so(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    error = refused_search(
        tmp_path,
        "tuning.space={strategy.learning_rate: {values: [1e30, 2e30, 3e30]}}",
        "strategy.name=full",
        "strategy.probe=auto",
        "training.clip_norm=null",
        "tuning.trials=3",
    )
    assert "diverged" in str(error)


def test_a_stopped_search_says_how_to_resume_it(tmp_path, make_picture_folder, monkeypatch):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=12, size=16)
    pipeline = load_pipeline(
        str(tmp_path / "photos"), (*SETTINGS, "tuning.trials=2", f"runs_directory={tmp_path}/runs")
    )

    def stop(*args, **options):
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(searching, "train", stop)
    with pytest.raises(Interrupted, match="run the same command to resume the search") as caught:
        tune(pipeline, Display())
    assert caught.value.exit_code == 130


@pytest.mark.parametrize(("name", "refit"), [("auto", False), ("full", "auto")])
def test_a_trial_does_not_train_on_validation(
    name, refit, tmp_path, make_picture_folder, monkeypatch
):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=12, size=16)
    own = (
        f"runs_directory={tmp_path}/runs",
        f"strategy.name={name}",
        "strategy.probe=auto",
        "tuning.space={head.dropout: {values: [0, 0.3]}}",
    )
    tried = []

    def stop(pipeline, *args, **options):
        tried.append(pipeline.strategy.refit)
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(searching, "train", stop)
    with pytest.raises(Interrupted):
        tune(load_pipeline(str(tmp_path / "photos"), (*SETTINGS, *own)), Display())
    assert tried == [refit]


def test_other_settings_or_data_start_a_new_search(tmp_path, make_picture_folder):
    photos = make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=6, size=16)

    def digest(*settings):
        return identify(make_plan(load_pipeline(str(photos), (*SETTINGS, *settings)), Display()))

    first = digest("tuning.trials=2")
    assert digest("tuning.trials=5") == first
    assert digest("backbone.options.width=8") != first
    (photos / "cat" / "000.png").unlink()
    assert digest("tuning.trials=2") != first


RANGES = "{head.dropout: {low: 0.1, high: 0.6}, strategy.probe_learning_rate: {low: 1e-4, high: 1}}"
GRID = "{head.dropout: {values: [0, 0.3]}, strategy.probe_learning_rate: {values: [1e-3, 1e-2, 1]}}"


class Trainings:
    """Replaces `train`: gives known figures, and stops in the middle of every second call."""

    def __init__(self, *, stops: bool) -> None:
        self.asked: dict[str, tuple[float, float]] = {}
        self._stops = stops
        self._calls = 0

    def __call__(self, pipeline, display, *, run_id, resume_if_started, judged_splits):
        self._calls += 1
        rate, dropout = pipeline.strategy.probe_learning_rate, pipeline.head.dropout
        assert self.asked.setdefault(run_id, (rate, dropout)) == (rate, dropout)
        if self._stops and self._calls % 2:
            raise Interrupted(signal.SIGINT)
        run = create_run(pipeline.runs_directory, pipeline.name, run_id)
        figures = {"accuracy": 1 / (1 + abs(np.log(rate / 0.02)) + dropout)}
        write_json(run.evaluation("validation") / "metrics.json", figures)
        run.write_status("finished")
        return SimpleNamespace(evaluations={"validation": SimpleNamespace(figures=figures)})


@pytest.mark.parametrize(
    ("oracle", "space", "trials"),
    # With two dimensions, the first six trials of a Bayesian search are random.
    [
        pytest.param("grid", GRID, 6, marks=pytest.mark.full),
        pytest.param("random", RANGES, 4, marks=pytest.mark.full),
        pytest.param("bayesian", RANGES, 9, marks=pytest.mark.full),
    ],
)
def test_a_search_stopped_in_every_trial_proposes_the_same_trials(
    oracle, space, trials, tmp_path, monkeypatch
):
    def search(place, *, stops):
        settings = (
            f"runs_directory={tmp_path / place}",
            f"tuning.oracle={oracle}",
            f"tuning.trials={trials}",
            f"tuning.space={space}",
        )
        pipeline = load_pipeline("photos", (*SETTINGS, *settings))
        trainings = Trainings(stops=stops)
        monkeypatch.setattr(searching, "train", trainings)
        for processes in range(1, trials + 2):
            scratch = tmp_path / f"{place}-{processes}"
            tuner = PipelineTuner(pipeline, Display(), ("accuracy", "max"), "a1", str(scratch))
            try:
                tuner.search()
            except Interrupted:
                continue
            scores = [trial.score for trial in tuner.oracle.get_best_trials(trials)]
            return trainings.asked, scores, processes
        raise AssertionError("it never came to its end")

    asked, scores, _ = search("undisturbed", stops=False)
    assert len(set(asked.values())) == len(scores) == trials
    assert search("stopped", stops=True) == (asked, scores, trials + 1)


@pytest.mark.parametrize(
    ("dimension", "kind"),
    [
        ("{values: [0, 0.3]}", float),
        ("{low: 8, high: 64}", int),
        ("{low: 0.5, high: 2}", float),
        ("{values: [adamw, sgd]}", str),
    ],
)
def test_a_dimension_has_values_of_one_type(dimension, kind):
    config = load_pipeline("photos", [f"tuning.space={{x: {dimension}}}"]).tuning
    oracle = make_oracle(config, 0, ("accuracy", "max"))
    assert type(oracle.hyperparameters.get("x")) is kind


def test_mixed_values_are_refused():
    with pytest.raises(ConfigError, match="mix"):
        load_pipeline("photos", ["tuning.space={x: {values: [1, one]}}"])


EXCLUDING = (
    "tuning.space={training.class_weights: {values: [none, balanced]}, "
    "training.sampling: {values: [natural, balanced]}}"
)


class Plans:
    """Replaces `train`: plans, and so refuses the same settings, but does not train."""

    def __init__(self) -> None:
        self.trained: list[str | None] = []

    def __call__(self, pipeline, display, *, run_id=None, **options):
        make_plan(pipeline, display)
        self.trained.append(run_id)
        run = create_run(pipeline.runs_directory, pipeline.name, run_id)
        figures = {"accuracy": 0.5 + 0.1 * len(self.trained)}
        write_json(run.evaluation("validation") / "metrics.json", figures)
        run.write_status("finished")
        return SimpleNamespace(evaluations={"validation": SimpleNamespace(figures=figures)})


@pytest.fixture
def search(tmp_path, make_picture_folder, monkeypatch):
    """Make a function that searches with `Plans`; result and number of pipelines trained."""
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=16)

    def run(*overrides):
        plans = Plans()
        monkeypatch.setattr(searching, "train", plans)
        own = (*SETTINGS, f"runs_directory={tmp_path}/runs", *overrides)
        return tune(load_pipeline(str(tmp_path / "photos"), own), Display()), len(plans.trained)

    return run


def test_a_refused_combination_is_dropped_and_the_search_continues(search, capfd):
    tuned, num_trained = search(EXCLUDING, "tuning.trials=4")
    (refusal,) = tuned.refused
    assert set(refusal.settings.values()) == {"balanced"}
    assert "2 times" in refusal.reason and not refusal.is_failure
    assert num_trained == len(tuned.trials) + 1 == 4
    assert "1 of 4 combinations are refused" in capfd.readouterr().err
    again, num_trained = search(EXCLUDING, "tuning.trials=4")
    assert num_trained == 1
    assert (again.trials, again.refused) == (tuned.trials, tuned.refused)


def test_refused_and_failed_trials_are_counted_in_the_result(capsys, monkeypatch):
    monkeypatch.setattr(output, "show_finished", lambda finished, console: None)
    trials = tuple(Trial({"head.dropout": value}, 0.5) for value in (0.0, 0.1, 0.2))
    refused = (
        Refusal({"head.dropout": 0.3}, "pipeline: 2 problems\n  - one\n  - another"),
        Refusal({"head.dropout": 0.4}, "the loss is not finite", is_failure=True),
    )
    output.show_tuned(Tuned("accuracy", trials, refused, SimpleNamespace()), "text")
    printed = capsys.readouterr().out
    assert "1 of 5 trials refused:\n  head.dropout=0.3: pipeline: 2 problems - one" in printed
    assert "1 of 5 trials failed:\n  head.dropout=0.4: the loss is not finite" in printed


@pytest.mark.parametrize(
    ("space", "message"),
    [
        # The default is for strategies that fine-tune.
        ((), "`tuning.space` is not given"),
        (
            ("tuning.space={training.ema: {values: [0.8, 0.9]}}", "strategy.probe=auto"),
            r"training.ema=0.8: training.ema: has no effect",
        ),
    ],
)
def test_a_search_with_only_refused_combinations_is_refused_before_its_first_trial(
    space, message, tmp_path, make_picture_folder
):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=16)
    settings = [setting for setting in SETTINGS if not setting.startswith("tuning.space")]
    own = (*settings, f"runs_directory={tmp_path}/runs", *space)
    with pytest.raises(ConfigError, match="every combination is refused") as caught:
        tune(load_pipeline(str(tmp_path / "photos"), own), Display())
    assert re.search(message, str(caught.value))
    assert not (tmp_path / "runs").exists()


def test_weights_missing_for_one_value_stop_only_its_trial(search, tmp_path):
    space = f"tuning.space={{backbone.weights: {{values: [random, {tmp_path}/none.h5]}}}}"
    tuned, _ = search(space, "tuning.trials=2")
    assert [trial.settings["backbone.weights"] for trial in tuned.trials] == ["random"]
    assert "no such file" in tuned.refused[0].reason


def test_a_value_is_allowed_if_it_is_valid_with_any_value_of_another_setting():
    space = "{data.validation: {values: [0.1, 0.9]}, data.holdout: {values: [0.05, 0.2]}}"
    pipeline = load_pipeline("photos", (*SETTINGS, f"tuning.space={space}"))
    check_space(pipeline)
    with pytest.raises(ConfigError, match=r"tuning\.space: .*data"):
        check_space(
            load_pipeline("photos", (*SETTINGS, "tuning.space={data.validation: {values: [0.9]}}"))
        )


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        StorageError("the disk is full"),
        RunError("a checkpoint cannot be written"),
        DataError("pictures changed since they were checked"),
        BackboneError("the weights are damaged"),
        ServiceError("the service is gone"),
        ZeroDivisionError("a fault"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_is_not_due_to_a_trials_settings_ends_the_search(
    error, tmp_path, monkeypatch
):
    def fail(*args, **options):
        raise error

    monkeypatch.setattr(searching, "train", fail)
    pipeline = load_pipeline("photos", (*SETTINGS, f"runs_directory={tmp_path}/runs"))
    tuner = PipelineTuner(pipeline, Display(), ("accuracy", "max"), "a1", str(tmp_path / "own"))
    with pytest.raises(keras_tuner.errors.FatalError) as caught:
        tuner.search()
    assert caught.value.__cause__ is error
    assert not tuner.refused
