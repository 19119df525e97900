"""A search chooses on validation, judges the holdout once, and goes on after a stop."""

import signal
from types import SimpleNamespace

import numpy as np
import pytest

from kft import tuning
from kft.config import load_pipeline
from kft.errors import BackboneError, ConfigError, DataError, KftError
from kft.runs import create_run, find_runs
from kft.runs.atomic import write_json
from kft.training import Display
from kft.training.stopping import Interrupted
from kft.tuning import PipelineTuner, check_space, identify, make_oracle, tune
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
    assert tuned.finished.fitted[0].phase.epochs == 40
    judged = [run for run in find_runs(tmp_path / "runs") if run.evaluation("holdout").exists()]
    assert [run.path for run in judged] == [tuned.finished.run.path]
    # A second search finds its trials done, and only runs the best.
    before = len(find_runs(tmp_path / "runs"))
    again = tune(pipeline, Display())
    assert again.trials == tuned.trials
    assert len(find_runs(tmp_path / "runs")) == before + 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("tuning.space={strategy.lerning_rate: {values: [1]}}",), "lerning_rate"),
        (("tuning.space={head.dropout: {values: [0.2, 2]}}",), "head.dropout"),
        (("tuning.space={}",), "names no setting"),
    ],
)
def test_a_search_that_cannot_be_run_is_refused_before_its_first_trial(overrides, message):
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


def test_what_would_stop_every_trial_is_told_before_the_first(tmp_path, make_picture_folder):
    assert isinstance(refused_search(tmp_path), DataError)
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    assert isinstance(refused_search(tmp_path, "backbone.name=resnet5"), BackboneError)
    assert "never on the holdout" in str(refused_search(tmp_path, "data.validation=0"))
    assert not (tmp_path / "runs").exists()


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


def test_a_search_that_is_stopped_says_that_the_search_is_gone_on_with(
    tmp_path, make_picture_folder, monkeypatch
):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=12, size=16)
    pipeline = load_pipeline(
        str(tmp_path / "photos"), (*SETTINGS, "tuning.trials=2", f"runs_directory={tmp_path}/runs")
    )

    def stop(*args, **options):
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(tuning, "train", stop)
    with pytest.raises(Interrupted, match="the same command goes on with the search") as caught:
        tune(pipeline, Display())
    assert caught.value.exit_code == 130


@pytest.mark.parametrize(("name", "refit"), [("auto", False), ("full", "auto")])
def test_a_trial_does_not_learn_from_what_it_is_judged_by(
    name, refit, tmp_path, make_picture_folder, monkeypatch
):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=12, size=16)
    own = (f"runs_directory={tmp_path}/runs", f"strategy.name={name}", "strategy.probe=auto")
    tried = []

    def stop(pipeline, *args, **options):
        tried.append(pipeline.strategy.refit)
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(tuning, "train", stop)
    with pytest.raises(Interrupted):
        tune(load_pipeline(str(tmp_path / "photos"), (*SETTINGS, *own)), Display())
    assert tried == [refit]


def test_other_settings_or_data_start_another_search(tmp_path, make_picture_folder):
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
    """Instead of `train`: known figures, and a stop in the middle of every second call."""

    def __init__(self, *, stops: bool) -> None:
        self.asked: dict[str, tuple[float, float]] = {}
        self._stops = stops
        self._calls = 0

    def __call__(self, pipeline, display, *, run_id, or_resume, judged_splits):
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
    # Of two dimensions, the first six of a Bayesian search are random.
    [
        ("grid", GRID, 6),
        ("random", RANGES, 4),
        pytest.param("bayesian", RANGES, 9, marks=pytest.mark.full),
    ],
)
def test_a_search_that_is_stopped_in_every_trial_asks_for_the_same_ones(
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
        monkeypatch.setattr(tuning, "train", trainings)
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
