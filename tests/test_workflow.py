"""Whole runs from a folder of pictures to a SavedModel, and the commands that use a run."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from kft.cli.main import main
from kft.config import load_pipeline
from kft.display import Display
from kft.errors import ConfigError, DataError, ExportError, RunError, StorageError
from kft.run_operations.evaluate import evaluate_run
from kft.run_operations.export import Destination, export_run
from kft.run_operations.predict import predict
from kft.runs import RunDirectory, find_runs, open_run
from kft.serving import ServingProcess
from kft.training import load_trained
from kft.workflow import make_plan, train

pytestmark = pytest.mark.usefixtures("parity_in_this_process")

SETTINGS = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.options.width=4",
    "training.global_batch_size=8",
)
FINE_TUNING = ("strategy.name=lp_ft", "strategy.duration=6", "strategy.learning_rate=1e-2")
PROBE = ("strategy.name=linear_probe",)


def settings(place: Path, strategy: tuple[str, ...] = FINE_TUNING) -> tuple[str, ...]:
    places = (f"runs_directory={place}/runs", f"export.directory={place}/saved_models")
    return (*SETTINGS, *strategy, *places)


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_picture_folder):
    place = tmp_path_factory.mktemp("spine")
    make_picture_folder(place / "photos", classes=("cat", "dog", "owl"), per_class=15, size=24)
    return place


@pytest.fixture(scope="module")
def finished(place):
    return train(load_pipeline(str(place / "photos"), settings(place)), Display())


def test_a_run_directory_holds_every_promised_file(finished):
    run = finished.run
    for path in (run.pipeline, run.manifest, run.splits, run.model, run.model_card):
        assert path.is_file(), path
    solved = json.loads((run.phase(0, "linear_probe") / "phase.json").read_text())
    assert solved["method"] == "solve"
    assert solved["solution"]["taps"] == ["stem", "stage1", "stage2", "stage3"]
    assert sum(member["weight"] for member in solved["solution"]["members"]) == pytest.approx(1)
    assert (run.phase(1, "full") / "history.csv").is_file()
    assert (run.phase(1, "full") / "phase.json").is_file()
    assert list((run.phase(1, "full") / "tensorboard").rglob("events*"))
    assert run.read_status()["state"] == "finished"
    assert not [path for path in run.path.rglob("*") if ".partial" in path.name]


def test_the_manifest_says_what_the_run_depended_on(finished):
    manifest = json.loads(finished.run.manifest.read_text())
    assert manifest["seed"] == 0
    assert len(manifest["data_fingerprint"]) == 64
    assert manifest["versions"]["keras"]
    assert manifest["hardware"]["cpus"] >= 1
    assert manifest["command"]


def test_every_picture_is_in_exactly_one_split(finished, place):
    rows = read_rows(finished.run.splits)
    assert len(rows) == 45
    assert {row["id"] for row in rows} == {
        str(path.relative_to(place / "photos")) for path in (place / "photos").rglob("*.png")
    }
    assert {row["split"] for row in rows} == {"train", "validation", "holdout"}


def test_predictions_add_up_to_the_metrics(finished):
    folder = finished.run.evaluation("holdout")
    rows = read_rows(folder / "predictions.csv")
    figures = json.loads((folder / "metrics.json").read_text())
    right = sum(row["true"] == row["predicted"] for row in rows)
    assert figures["examples"] == len(rows) == 9
    assert figures["accuracy"] == pytest.approx(right / len(rows))
    for row in rows:
        probabilities = [float(row[f"probability {name}"]) for name in ("cat", "dog", "owl")]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def test_the_probe_is_computed_from_stored_features_and_full_tuning_from_the_inputs(finished):
    assert [fitted.computed_from for fitted in finished.fitted] == ["block_statistics", "inputs"]


@pytest.mark.full
def test_a_second_run_with_the_same_seed_gives_bit_equal_weights(finished, place):
    again = train(
        load_pipeline(str(place / "photos"), (*settings(place), "export.enabled=false")), Display()
    )
    first, second = load_trained(finished.run).model, load_trained(again.run).model
    for one, other in zip(first.variables, second.variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path


def test_the_export_answers_as_the_model_in_a_process_that_has_tensorflow_only(finished, place):
    rows = read_rows(finished.run.evaluation("holdout") / "predictions.csv")
    files = [str(place / "photos" / row["file"]) for row in rows]
    with ServingProcess() as process:
        served = process.answer(finished.export.path, files)
    for row, probabilities, names, top in zip(
        rows, served["probabilities"], served["class_names"], served["top_class"], strict=True
    ):
        assert list(names) == ["cat", "dog", "owl"]
        assert top[0] == row["predicted"]
        expected = [float(row[f"probability {name}"]) for name in names]
        assert np.abs(probabilities - expected).max() <= 1e-5


def test_run_and_export_give_the_same_answer_about_files(finished, place):
    files = [str(path) for path in sorted((place / "photos" / "dog").iterdir())[:3]]
    from_run = list(predict(finished.run.path, files))
    from_export = list(predict(finished.export.path.parent, files))
    for one, other in zip(from_run, from_export, strict=True):
        assert one.file == other.file
        assert one.values == pytest.approx(other.values, abs=1e-5)
        assert one.best(1)[0][0] == "dog"


def test_a_file_that_is_not_a_picture_is_named(finished, place):
    broken = place / "broken.jpg"
    broken.write_bytes(b"nothing")
    files = [str(broken), str(place / "gone.jpg")]
    for model in (finished.run.path, finished.export.path):
        assert [bad.name for bad in predict(model, files)] == files


@pytest.mark.full
def test_exporting_again_makes_the_next_version(finished, place):
    export = export_run(finished.run.path, Display(), destination=Destination(str(place / "again")))
    assert export.path == place / "again" / "photos" / "1"
    assert (
        export_run(
            finished.run.path, Display(), destination=Destination(str(place / "again"))
        ).path.name
        == "2"
    )


@pytest.mark.full
def test_a_run_is_exported_from_elsewhere_without_its_data(finished, place, monkeypatch):
    monkeypatch.chdir(place / "photos" / "cat")
    asked = ("000.png", "../dog", "../owl/00[0-2].png")
    export = export_run(
        Path("../..") / finished.run.path.relative_to(place),
        Display(),
        destination=Destination(name="elsewhere"),
        files=asked,
    )
    assert export.path == place / "saved_models" / "elsewhere" / "1"
    assert export.num_compared == 1 + 15 + 3
    card = json.loads((export.path / "assets.extra" / "kft.json").read_text())
    assert card["parity"] == {"files": "given by --files", "count": 19}
    assert card["data"]["path"] == str(place / "photos")
    assert card["run"] == str(finished.run.path)


def test_missing_pictures_for_the_parity_check_are_named(finished, place):
    for written, said in (("none*.jpg", "no file matches"), ("gone.jpg", "gone.jpg: there is no")):
        with pytest.raises(DataError, match=said):
            export_run(finished.run.path, Display(), files=[str(place / written)])


def test_a_next_version_with_other_classes_is_refused_before_training(
    finished, place, make_picture_folder
):
    make_picture_folder(place / "b" / "photos", classes=("dog", "yak"), per_class=8, size=24)
    again = (*settings(place, PROBE), "export.next_version=any")
    with pytest.raises(
        ConfigError, match=r"answers cat, dog, owl; this model answers dog, yak.*name=OTHER"
    ):
        make_plan(load_pipeline(str(place / "b" / "photos"), settings(place, PROBE)), Display())
    assert make_plan(load_pipeline(str(place / "b" / "photos"), again), Display()).phases


def test_holdout_figures_are_read_rather_than_computed_again(finished):
    before = (finished.run.evaluation("holdout") / "metrics.json").stat().st_mtime_ns
    figures = evaluate_run(finished.run.path, Display())
    assert figures == finished.evaluation.figures
    assert (finished.run.evaluation("holdout") / "metrics.json").stat().st_mtime_ns == before


def test_other_data_is_judged_by_class_name_at_any_index(finished, place, make_picture_folder):
    # Without 'cat', 'dog' would be judged wrongly if the index decided.
    make_picture_folder(place / "other", classes=("dog", "owl"), per_class=4, size=24)
    figures = evaluate_run(finished.run.path, Display(), data=str(place / "other"))
    assert figures["examples"] == 8
    assert figures["classes"]["cat"]["examples"] == 0
    assert figures["accuracy"] == 1.0


def test_other_data_with_an_unknown_class_is_refused(finished, place, make_picture_folder):
    make_picture_folder(place / "strange", classes=("dog", "yak"), per_class=4, size=24)
    with pytest.raises(DataError, match="yak"):
        evaluate_run(finished.run.path, Display(), data=str(place / "strange"))


def test_a_table_with_other_columns_and_one_class_is_judged_by_the_runs_classes(finished, place):
    rows = [f"photos/owl/{number:03d}.png,owl" for number in range(3)]
    (place / "new.csv").write_text("\n".join(["image,kind", *rows]))
    asked = ("data.table.path_column=image", "data.table.label_columns=[kind]")
    figures = evaluate_run(
        finished.run.path, Display(), data=str(place / "new.csv"), overrides=asked
    )
    assert figures["examples"] == figures["classes"]["owl"]["examples"] == 3


@pytest.mark.full
def test_export_after_the_data_changed_is_refused(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    own = (*settings(tmp_path, PROBE), "export.enabled=false")
    run = train(load_pipeline(str(tmp_path / "photos"), own), Display()).run
    next((tmp_path / "photos" / "cat").iterdir()).unlink()
    with pytest.raises(DataError, match=r"not the examples of the run(.|\n)*gone: cat/"):
        export_run(run.path, Display())
    assert not (tmp_path / "saved_models").exists()


def test_other_data_does_not_need_the_runs_split_folders(tmp_path, make_picture_folder):
    for split, size in (("learn", 32), ("judge", 24)):
        make_picture_folder(
            tmp_path / "photos" / split, classes=("cat", "dog"), per_class=8, size=size
        )
    make_picture_folder(tmp_path / "new", classes=("cat", "dog"), per_class=3)
    own = (
        *settings(tmp_path, PROBE),
        "export.enabled=false",
        "data.folders={train: learn, holdout: judge}",
    )
    run = train(load_pipeline(str(tmp_path / "photos"), own), Display()).run
    assert evaluate_run(run.path, Display(), data=str(tmp_path / "new"))["examples"] == 6


def test_the_baseline_on_other_data_comes_from_the_training_split(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat",), per_class=20)
    make_picture_folder(tmp_path / "photos", classes=("dog",), per_class=10)
    make_picture_folder(tmp_path / "new", classes=("cat",), per_class=2)
    make_picture_folder(tmp_path / "new", classes=("dog",), per_class=6)
    own = (*settings(tmp_path, PROBE), "export.enabled=false")
    run = train(load_pipeline(str(tmp_path / "photos"), own), Display()).run
    figures = evaluate_run(run.path, Display(), data=str(tmp_path / "new"))
    # 'cat' is the majority class of training, and right for two of these eight.
    assert figures["majority_class_accuracy"] == 0.25


def test_a_full_disk_is_reported_with_the_command_to_resume(
    tmp_path, make_picture_folder, monkeypatch
):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    own = settings(tmp_path, PROBE)

    def fail(*arguments, **options):
        raise tf.errors.ResourceExhaustedError(None, None, "/data/x; No space left on device")

    monkeypatch.setattr("kft.workflow.stages.Feed", fail)
    with pytest.raises(StorageError) as caught:
        train(load_pipeline(str(tmp_path / "photos"), own), Display(), run_id="full")
    run = tmp_path / "runs" / "photos" / "full"
    assert str(caught.value).startswith("/data/x: cannot be written: no space is left on its disk")
    assert str(caught.value).endswith(f"Then resume with `kft train --resume {run}`.")
    assert RunDirectory(run).read_status()["state"] == "failed"


@pytest.mark.full
def test_a_run_whose_export_failed_is_finished_and_can_be_exported_again(
    tmp_path, make_picture_folder, monkeypatch
):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    own = settings(tmp_path, PROBE)

    def fail(*arguments, **options):
        raise ExportError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("kft.workflow.export_stage.export_model", fail)
        with pytest.raises(ExportError):
            train(load_pipeline(str(tmp_path / "photos"), own), Display(), run_id="kept")
    run = tmp_path / "runs" / "photos" / "kept"
    assert export_run(run, Display()).path.is_dir()


def test_runs_are_listed_with_their_scores(finished, place):
    result = CliRunner().invoke(main, ["runs", "--directory", str(place / "runs")])
    assert result.exit_code == 0
    assert finished.run.path.name in result.output
    assert "finished" in result.output
    assert "accuracy" in result.output
    assert finished.run.path in [run.path for run in find_runs(place / "runs")]


def test_a_failed_run_says_why_and_cannot_be_opened(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    own = (*settings(tmp_path), "strategy.learning_rate=1e30", "training.clip_norm=null")
    with pytest.raises(Exception, match="loss is"):
        train(load_pipeline(str(tmp_path / "photos"), own), Display(), run_id="bad")
    with pytest.raises(RunError, match="failed"):
        open_run(tmp_path / "runs" / "photos" / "bad")


def test_train_prints_the_locations_of_results_and_the_next_commands(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    own = settings(tmp_path, PROBE)
    result = CliRunner().invoke(main, ["train", str(tmp_path / "photos"), *own])
    assert result.exit_code == 0, result.output
    assert f"kft predict {tmp_path}/saved_models/photos/1 FILE" in result.stdout
    assert "Holdout  accuracy" in result.stdout
    # Progress goes to standard error, so that the result can be piped.
    assert "Phase 1 of 1, linear_probe, solved: done" in result.stderr


def test_check_shows_pipeline_blocks_phases_and_risks_and_trains_nothing(
    tmp_path, make_picture_folder
):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=10, size=24)
    result = CliRunner().invoke(main, ["check", str(tmp_path / "photos"), *settings(tmp_path)])
    assert result.exit_code == 0, result.output
    for text in ("learning_rate: 0.01", "linear_probe", "stage4", "frozen", "Risks"):
        assert text in result.stdout, text
    assert not (tmp_path / "runs").exists()
