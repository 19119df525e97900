"""A search chooses on validation, judges the holdout once, and goes on after a stop."""

import signal

import pytest

from kft import tuning
from kft.config import load_pipeline
from kft.errors import BackboneError, ConfigError, DataError, KftError
from kft.runs import find_runs
from kft.training import Display
from kft.training.stopping import Interrupted
from kft.tuning import _project_name, check_space, make_oracle, tune

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


def test_another_pipeline_starts_another_search():
    first = load_pipeline("photos", (*SETTINGS, "tuning.trials=2"))
    more = load_pipeline("photos", (*SETTINGS, "tuning.trials=5"))
    other = load_pipeline("photos", (*SETTINGS, "backbone.options.width=8"))
    assert _project_name(first) == _project_name(more) != _project_name(other)


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
