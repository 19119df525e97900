"""A finished run answers a request only if settings and data are the same."""

import json
import shutil

import pytest

from kft.config import dump_pipeline, load_pipeline
from kft.data import load_splits, write_splits_csv
from kft.errors import ChangedRunError, DataError
from kft.provenance import check_same_as_finished
from kft.runs import RunDirectory
from kft.timing import apply_measured


@pytest.fixture
def finished(tmp_path, monkeypatch, make_picture_folder) -> RunDirectory:
    """Record of a finished run, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))
    make_picture_folder("photos", classes=("cat", "dog"), per_class=6, size=16)
    run = RunDirectory("runs/photos/nightly")
    run.path.mkdir(parents=True)
    pipeline = apply_measured(load_pipeline("photos"), None)
    splits = load_splits(pipeline.data, decode=False)
    run.pipeline.write_text(dump_pipeline(pipeline))
    write_splits_csv(splits, run.splits)
    manifest = {
        "data_fingerprint": splits.fingerprint,
        "working_directory": str(tmp_path),
        "hardware": {"replicas": 1},
    }
    run.manifest.write_text(json.dumps(manifest))
    return run


def refusal(run: RunDirectory, source: str, *settings: str) -> str:
    with pytest.raises(ChangedRunError) as caught:
        check_same_as_finished(run, load_pipeline(source, settings))
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_equal_settings_and_data_pass_in_any_spelling(finished, tmp_path, monkeypatch):
    check_same_as_finished(finished, load_pipeline("photos"))
    check_same_as_finished(
        finished, load_pipeline(str(tmp_path / "photos"), ["training.threads=7"])
    )
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    again = load_pipeline(
        "../photos", ["runs_directory=../runs", "export.directory=../saved_models"]
    )
    check_same_as_finished(RunDirectory("../runs/photos/nightly"), again)


def test_different_settings_are_refused_with_both_values(finished):
    said = refusal(finished, "photos", "training.seed=7", "data.holdout=0.4")
    assert "training.seed: 0 -> 7" in said
    assert "data.holdout: 0.2 -> 0.4" in said


@pytest.mark.parametrize("change", ["new picture", "other content", "new class"])
def test_different_data_at_the_same_path_are_refused(finished, make_picture_folder, change):
    if change == "new picture":
        shutil.copy("photos/cat/000.png", "photos/cat/new.png")
        expected = "data: new: cat/new.png"
    elif change == "other content":
        shutil.copy("photos/dog/000.png", "photos/dog/001.png")
        expected = "files or their contents have changed"
    else:
        make_picture_folder("photos", classes=("owl",), per_class=6, size=16)
        expected = "data: new: owl/000.png"
    assert expected in refusal(finished, "photos")


def test_moved_data_are_accepted_and_different_data_refused(finished, make_picture_folder):
    shutil.move("photos", "moved")
    check_same_as_finished(finished, load_pipeline("moved", ["name=photos"]))
    make_picture_folder("b/photos", classes=("owl", "yak"), per_class=6, size=16)
    said = refusal(finished, "b/photos")
    assert "b/photos" in said
    assert "data: gone: cat/000.png" in said


def test_missing_data_are_refused_because_they_cannot_be_compared(finished):
    shutil.rmtree("photos")
    with pytest.raises(DataError, match=r"finished, but its data cannot be compared.*nothing at"):
        check_same_as_finished(finished, load_pipeline("photos"))
