"""A run in Python has figures, tables, predictions and pictures."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import kft
from kft.config import load_pipeline
from kft.errors import ConfigError, DataError, RunError
from kft.run_operations.predict import predict

pytestmark = pytest.mark.usefixtures("parity_in_this_process")


@pytest.fixture
def files(place) -> list[str]:
    return [str(path) for path in sorted((place / "photos").rglob("*.png"))[::9]]


def test_a_run_shows_its_path_and_score(run, place):
    assert run.path == place / "runs/photos/first"
    assert run.name == "photos/first"
    assert run.state == "finished"
    assert repr(run).startswith(f"Run({str(run.path)!r}): finished; holdout: accuracy ")
    assert load_pipeline(str(run.path / "pipeline.yaml")).training.batch_size == 8


def test_metrics_and_predictions_are_the_holdouts(run):
    table = run.predictions
    assert table.column_names[:3] == ["file", "true", "predicted"]
    rows = table.to_pylist()
    right = sum(row["true"] == row["predicted"] for row in rows)
    assert run.metrics["examples"] == len(rows) == 9
    assert run.metrics["accuracy"] == pytest.approx(right / 9)
    assert run.evaluate() == run.metrics
    assert run.evaluate(split="validation")["examples"] == 9


@pytest.mark.full
def test_names_in_the_predictions_stay_text(run, tmp_path, monkeypatch):
    folder = tmp_path / "evaluation" / "holdout"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    (folder / "predictions.csv").write_text("file,true,predicted,probability 007\n1,007,NA,1\n")
    (tmp_path / "status.json").write_text('{"state": "finished", "time": ""}')
    (row,) = kft.Run(tmp_path).predictions.to_pylist()
    assert row == {"file": "1", "true": "007", "predicted": "NA", "probability 007": 1}


def test_the_history_has_each_epoch_of_the_phases_with_epochs(run):
    assert set(run.history["phase"].to_pylist()) == {"full"}
    assert {"epoch", "loss", "val_loss"} <= set(run.history.column_names)


@pytest.mark.full
def test_files_arrays_and_pictures_get_the_same_answers_as_the_command_gives(run, files):
    expected = list(predict(run.path, files))
    arrays = [np.asarray(Image.open(file)) for file in files]
    assert run.predict(files) == expected
    for asked in (arrays, np.stack(arrays), [Image.open(file) for file in files]):
        assert [answer.values for answer in run.predict(asked)] == [a.values for a in expected]


def test_answers_have_the_order_and_names_of_the_inputs(run, place, files):
    array = np.asarray(Image.open(files[0]))
    asked = [files[1], array, files[1], np.stack([array, array])]
    names = [answer.file for answer in run.predict(asked)]
    assert names == [files[1], "picture 1", files[1], "picture 3, 0", "picture 3, 1"]
    assert len(run.predict(place / "photos" / "cat")) == 15


def test_a_pil_picture_is_turned_like_its_file(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as picture:
        (as_picture,) = run.predict(picture)
    (as_file,) = run.predict(tmp_path / "turned.png")
    assert as_picture.values == as_file.values


def test_pictures_that_cannot_be_used_are_named_together(run, files, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        run.predict([files[0], tmp_path / "empty.png", tmp_path / "gone.png"])
    assert "2 of 3 pictures cannot be used" in str(caught.value)
    assert "empty.png" in str(caught.value)
    assert "gone.png" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (np.zeros((8, 8, 3)), r"an array float64 of shape \(8, 8, 3\)"),
        (np.zeros((8, 8), np.uint8), "Allowed: uint8 RGB"),
        ([np.zeros((8, 8, 3), np.uint8), 7], "picture 1: found a int"),
    ],
)
def test_an_input_that_is_not_a_picture_is_refused_with_the_allowed_ones(run, asked, message):
    with pytest.raises(DataError, match=message):
        run.predict(asked)


def test_the_model_gives_the_answers(run, files):
    (answer,) = run.predict(files[0])
    pixels = np.asarray(Image.open(files[0]).resize((32, 32), Image.Resampling.BILINEAR))
    logits = run.model({"pixels": pixels[None].astype("float32")}).numpy()
    assert logits.shape == (1, 3)
    assert answer.chosen == [list(answer.values)[logits.argmax()]]


def test_other_data_are_judged(run, place):
    figures = run.evaluate(place / "photos")
    assert figures["examples"] == 45
    assert run.evaluate(place / "photos", settings={"on_invalid_file": "stop"}) == figures


def test_arguments_without_effect_are_refused(run, place):
    with pytest.raises(ConfigError, match="give only one"):
        run.evaluate(place / "photos", split="holdout")
    with pytest.raises(ConfigError, match="give them only with data"):
        run.evaluate(settings={"on_invalid_file": "stop"})
    with pytest.raises(ConfigError, match="give only one"):
        run.export(data=place / "photos", files=["a.png"])


def test_an_export_answers_as_its_run(run, files):
    exported = run.export()
    assert isinstance(exported, kft.Exported)
    for same in (exported, kft.load(exported.path.parent)):
        (served,), (own,) = same.predict(files[0]), run.predict(files[0])
        assert served.chosen == own.chosen
        assert served.values == pytest.approx(own.values, abs=1e-5)


def test_only_a_run_directory_is_loaded_as_a_run(run, tmp_path):
    assert kft.load(str(run.path)).metrics == run.metrics
    with pytest.raises(RunError, match="neither a run"):
        kft.load(tmp_path)
    with pytest.raises(RunError, match="nothing to resume"):
        run.resume()


@pytest.mark.full
def test_a_stopped_run_is_resumed(place, settings, monkeypatch):
    from kft.workflow import stages

    with monkeypatch.context() as patch:
        patch.setattr(stages, "save_trained", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            kft.train(place / "photos", run_id="stopped", **settings)
    stopped = kft.load(place / "runs/photos/stopped")
    assert stopped.state == "interrupted"
    with pytest.raises(RunError, match="is interrupted and judged neither"):
        _ = stopped.metrics
    assert "interrupted: KeyboardInterrupt" in stopped._repr_html_()
    assert stopped.resume().state == "finished"


def test_a_notebook_shows_the_headline_curves_and_pictures(run):
    page = run._repr_html_()
    assert "photos/first" in page
    assert "Holdout: accuracy" in page
    assert page.count('class="curve"') == 2
    assert page.count('src="data:image/jpeg;base64,') == 8


def test_names_of_files_and_classes_are_escaped(run, tmp_path):
    folder = tmp_path / "evaluation" / "holdout"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    (folder / "predictions.csv").write_text("file,true,predicted\n<b>.png,<i>,<script>\n")
    (tmp_path / "status.json").write_text(json.dumps({"state": "finished", "time": ""}))
    (tmp_path / "pipeline.yaml").write_bytes((run.path / "pipeline.yaml").read_bytes())
    page = kft.Run(tmp_path)._repr_html_()
    assert not re.search("<script|<i>.png|<b>.png", page)
    assert "&lt;script&gt;" in page
