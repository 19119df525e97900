"""A task from elsewhere is read, trained, judged, served and audited like kft's own."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from kft.auditing.auditing import audit_data
from kft.config import load_pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.examples import Files
from kft.run_operations.evaluate import evaluate_run
from kft.serving import ExportedModel
from kft.task_names import TASKS
from kft.tasks import find_task, register_task
from kft.training import load_trained
from kft.workflow import train

pytestmark = pytest.mark.usefixtures("parity_in_this_process")
SMALL = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=32",
    "backbone.options={width: 4}",
    "training.global_batch_size=16",
    "data.target=ordinal",
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(TASKS, "_entries", dict(TASKS))
    register_task("ordinal", "foreign.ordinal:Ordinal")


@pytest.fixture(scope="module")
def photos(tmp_path_factory, make_picture_folder):
    folder = tmp_path_factory.mktemp("graded") / "photos"
    make_picture_folder(folder, per_class=12, size=24)
    return folder


def run(photos, place, *overrides):
    own = (f"runs_directory={place}/runs", f"export.directory={place}/saved_models")
    return train(load_pipeline(str(photos), (*SMALL, *own, *overrides)), Display())


def test_a_registered_task_may_be_named_and_no_other():
    assert find_task("ordinal").word == "ordinal"
    with pytest.raises(ConfigError, match=r"data\.target: found 'ordinl'\. Did you mean 'ordinal'"):
        load_pipeline("photos", ["data.target=ordinl"])
    with pytest.raises(ConfigError, match="task 'ordinal' is registered already"):
        register_task("ordinal", SimpleNamespace)


@pytest.mark.full
def test_it_is_trained_judged_exported_and_evaluated_again(photos, tmp_path):
    finished = run(
        photos,
        tmp_path,
        "strategy.name=lp_ft",
        "strategy.probe=trained",
        "strategy.duration=1 epochs",
        "data.image.augmentation=none",
    )
    figures = finished.evaluation.figures
    assert figures["task"] == "ordinal"
    assert set(figures["classes"]) == {path.name for path in photos.iterdir()}
    assert figures["places_off"] >= 0
    assert finished.export.largest_difference <= 1e-5
    trained = load_trained(finished.run)
    assert trained.head.task.name == "ordinal"
    files = [str(path) for path in sorted(photos.rglob("*.png"))[:3]]
    for answer in ExportedModel(finished.export.path).answer(files, Files(tuple(files))):
        assert answer.task.name == "ordinal"
        assert np.sum(list(answer.values.values())) == pytest.approx(1, abs=1e-5)
        assert len(answer.chosen) == 1
    again = evaluate_run(finished.run.path, Display(), data=str(photos))
    assert again["examples"] == 36


def test_it_has_no_linear_solution_and_obeys_no_setting_of_other_tasks(photos, tmp_path):
    with pytest.raises(ConfigError, match="but the targets are grades"):
        run(photos, tmp_path, "training.mixup=0.2", "strategy.name=full")


def test_it_is_audited_by_its_own_words(photos):
    found = audit_data(load_pipeline(str(photos), SMALL), Display(), with_labels=False)
    assert (found.overview.task, found.overview.nouns) == ("ordinal", "grades")
    assert [group.total for group in found.overview.groups] == [12, 12, 12, 36]
