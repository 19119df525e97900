"""Whole runs tell the truth: about the holdout, harmful fine-tuning, and labels of chance."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone, save_backbone
from kft.config import BackboneConfig, load_pipeline
from kft.display import Display
from kft.evaluation.judgements import read_judgements
from kft.evaluation.ladder import read_ladder
from kft.report import read_report
from kft.run_operations.evaluate import evaluate_run
from kft.run_operations.scratch import compare_with_scratch
from kft.runs import RunDirectory
from kft.serving import ServingProcess
from kft.training import load_trained
from kft.workflow import train

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_picture_folder) -> Path:
    """Pictures of three colours, and a backbone of random filters that counts as pretrained."""
    place = tmp_path_factory.mktemp("honest")
    make_picture_folder(place / "photos", per_class=40, size=24)
    keras.utils.set_random_seed(0)
    config = BackboneConfig(name="small_cnn", weights="random", options={"width": 4})
    save_backbone(load_backbone(config), place / "sees")
    return place


def write_table(place: Path, name: str, *, seed: int | None, splits: tuple[str, ...]) -> str:
    """Write a table of the pictures, with the labels of some splits shuffled."""
    files = sorted((place / "photos").rglob("*.png"))
    drawn = np.random.default_rng(0).permutation(len(files))
    split = np.array(["train", "validation", "holdout"])[np.digitize(drawn % 10, (6, 8))]
    labels = np.array([file.parent.name for file in files])
    if seed is not None:
        chosen = np.isin(split, splits)
        labels[chosen] = np.random.default_rng(seed).permutation(labels[chosen])
    rows = zip(files, labels, split, strict=True)
    lines = [
        f"{file.relative_to(place)},{label},{part},{int(file.stem) % 3}"
        for file, label, part in rows
    ]
    table = place / f"{name}.csv"
    table.write_text("\n".join(["path,label,split,camera", *lines]))
    return str(table)


def run(place: Path, table: str, tmp_path: Path, *overrides: str):
    own = (
        f"backbone.name={place / 'sees'}",
        "training.global_batch_size=16",
        "data.table.split_column=split",
        f"runs_directory={tmp_path}/runs",
        f"export.directory={tmp_path}/saved_models",
        "export.next_version=any",
    )
    return train(load_pipeline(table, (*own, *overrides)), Display())


def read_decisions(run: RunDirectory) -> list[dict]:
    """Read what every phase decided, without the time that it took."""
    phases = [json.loads(file.read_text()) for file in sorted(run.path.glob("phases/*/phase.json"))]
    return [
        {
            name: value
            for name, value in phase.items()
            if "seconds" not in name and "wait" not in name
        }
        for phase in phases
    ]


def test_the_labels_of_the_holdout_change_its_figures_and_nothing_else(place, tmp_path):
    asked = ("abstain.error=0.3", "strategy.refit=false", "strategy.duration=3 epochs")
    one, other = (
        run(place, write_table(place, "same", seed=seed, splits=("holdout",)), tmp_path, *asked).run
        for seed in (None, 1)
    )
    assert read_decisions(one) == read_decisions(other)
    for name in ("familiarity.npz", "abstain.json"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
    models = [load_trained(each).model for each in (one, other)]
    for variable, twin in zip(*(model.variables for model in models), strict=True):
        assert np.array_equal(variable.numpy(), twin.numpy()), variable.path
    figures = [
        json.loads((each.evaluation("holdout") / "metrics.json").read_text())
        for each in (one, other)
    ]
    assert figures[0]["accuracy"] > figures[1]["accuracy"]
    exports = sorted(tmp_path.glob("saved_models/*/*"))
    files = [str(file) for file in sorted((place / "photos").rglob("*.png"))[::10]]
    answers = []
    for export in exports:
        with ServingProcess() as process:
            answers.append(process.answer(export, files))
    assert {"answer", "is_sure", "looks_unfamiliar", "probabilities"} <= set(answers[0])
    for name, values in answers[0].items():
        assert np.array_equal(values, answers[1][name]), name


def test_a_rate_that_is_far_too_high_ends_with_the_probe_and_says_so(place, tmp_path):
    table = write_table(place, "hurt", seed=1, splits=("train", "validation"))
    finished = run(place, table, tmp_path, "strategy.learning_rate=100", "export.enabled=false")
    assert finished.fitted[-1].is_undone
    (sentence,) = (s for s in read_report(finished.run.path).verdict if "ine-tuning" in s)
    assert "hurt" in sentence and "kept" in sentence
    rungs, _ = read_ladder(finished.run.evaluation("holdout"))
    assert rungs[-1].name == "this model (the probe)"
    by_name = {rung.name: rung.value for rung in rungs}
    assert by_name["this model (the probe)"] == by_name["layered probe"]


def test_labels_of_chance_are_no_better_than_the_majority(place, tmp_path):
    table = write_table(place, "chance", seed=2, splits=("train", "validation", "holdout"))
    asked = ("strategy.name=linear_probe", "export.enabled=false")
    finished = run(place, table, tmp_path, *asked)
    verdict = read_report(finished.run.path).verdict
    assert "no better than always answering the most frequent class" in verdict[0]


def test_other_data_are_compared_with_training_and_the_holdout_is_counted(place, tmp_path):
    table = write_table(place, "own", seed=None, splits=())
    asked = ("strategy.name=linear_probe", "export.enabled=false")
    finished = run(place, table, tmp_path, *asked)
    compare_with_scratch(finished, Display())
    path = finished.run.path
    rungs, points = read_ladder(finished.run.evaluation("holdout"))
    names = [rung.name for rung in rungs]
    assert names[:4] == ["majority", "k-NN", "last-layer probe", "layered probe"]
    assert names[4:] == ["from random weights", "this model (the probe)"]
    assert all(rung.interval and rung.size for rung in rungs) and len(points) >= 3
    slices = json.loads((finished.run.evaluation("holdout") / "slices.json").read_text())
    assert {"answer", "camera"} <= {each["column"] for each in slices}
    assert len(read_judgements(finished.run)) == 1
    evaluate_run(path, Display(), data=table)
    assert len(read_judgements(finished.run)) == 2
    drift = json.loads((path / "evaluation" / "other-own.csv" / "drift.json").read_text())
    assert drift["separation"] < 0.6
    (place / "plain").mkdir()
    shutil.copy(next((place / "photos").rglob("*.png")), place / "plain" / "a.png")
    with pytest.raises(
        Exception, match=r"no class folders(.|\n)*Without labels, of 1 files: the m"
    ):
        evaluate_run(path, Display(), data=str(place / "plain"))
