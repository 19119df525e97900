"""A run is recorded by the trackers that the pipeline names."""

import importlib.util

import pytest

from kft.config import load_pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.training import trackers
from kft.training.trackers import TrackedRun, Trackers, check_trackers


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "runs" / "photos" / "first"
    path.mkdir(parents=True)
    return TrackedRun(path, "photos", {"training.seed": 3, "backbone.name": "small_cnn"})


class Recorded:
    """A tracker that keeps what it is told."""

    def __init__(self, run):
        self.said = [("begin", run.name)]

    def log(self, figures, step):
        if "bad" in figures:
            raise OSError("no network")
        self.said.append((step, figures))

    def end(self, figures, *, is_finished):
        self.said.append(("end", figures, is_finished))


@pytest.fixture
def recorded(monkeypatch):
    made = []
    monkeypatch.setitem(
        trackers._TRACKERS, "mlflow", lambda run: made.append(Recorded(run)) or made[-1]
    )
    return made


def test_epochs_of_a_phase_and_the_final_figures_are_recorded(run, recorded):
    every = Trackers(Display())
    assert every.watch("probe") == ()
    every.begin(["mlflow"], run)
    (callback,) = every.watch("probe")
    callback.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.25})
    every.end({"accuracy": 0.9, "classes": {"a": 1}})
    assert recorded[0].said == [
        ("begin", "first"),
        (1, {"probe/loss": 0.5, "probe/val_loss": 0.25}),
        ("end", {"accuracy": 0.9}, True),
    ]


def test_a_tracker_that_fails_is_left_out_by_name(run, recorded, capsys):
    every = Trackers(Display())
    every.begin(["mlflow"], run)
    every.log({"bad": 1.0}, 1)
    every.log({"good": 1.0}, 2)
    every.end(None)
    assert recorded[0].said == [("begin", "first")]
    assert "mlflow failed and is left out: no network" in capsys.readouterr().err


def test_a_tracker_that_cannot_be_started_ends_the_run(run, monkeypatch):
    def fail(run):
        raise OSError("no such server")

    monkeypatch.setitem(trackers._TRACKERS, "wandb", fail)
    with pytest.raises(ConfigError, match=r"training\.trackers: wandb cannot be started: no such"):
        Trackers(Display()).begin(["wandb"], run)


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"wandb is not installed\. Run `pip install 'kft\[wandb"):
        check_trackers(["wandb"])
    check_trackers([])


def test_only_known_trackers_are_allowed():
    assert load_pipeline("photos", ["training.trackers=[mlflow]"]).training.trackers == ("mlflow",)
    with pytest.raises(ConfigError, match=r"training\.trackers"):
        load_pipeline("photos", ["training.trackers=[comet]"])


@pytest.mark.full
@pytest.mark.filterwarnings("default")
def test_mlflow_keeps_the_record_in_a_file_beside_the_runs(run, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for _ in range(2):
        every = Trackers(Display())
        every.begin(["mlflow"], run)
        every.log({"probe/loss": 0.5}, 1)
        every.end({"accuracy": 0.9})
    file = run.path.parents[1] / "mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{file}")
    (found,) = client.search_runs([client.get_experiment_by_name("photos").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["training.seed"] == "3"
    assert found.data.metrics == {"probe/loss": 0.5, "accuracy": 0.9}


@pytest.mark.full
@pytest.mark.filterwarnings("default")
def test_weights_and_biases_records_offline(run, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    every = Trackers(Display())
    every.begin(["wandb"], run)
    every.log({"probe/loss": 0.5}, 1)
    every.end({"accuracy": 0.9})
    assert list(run.path.glob("wandb/offline-run-*/*.wandb"))
