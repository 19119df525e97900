"""Runs, exports and caches of kft that lie among the data."""

from __future__ import annotations

import pytest

from kft.config import DataConfig, Pipeline
from kft.data.loading import find_examples, load_splits
from kft.data.sources.record_listing import list_record_files
from kft.data.sources.walking import OWN
from kft.errors import DataError
from kft.runs import create_run
from kft.runs.atomic import write_json, write_text
from kft.runs.caches import cache_folder


@pytest.fixture
def photos(tmp_path, write_classes, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    write_classes(photos__cat=4, photos__dog=4)
    monkeypatch.chdir(folder)
    return folder


def make_run(runs, run_id="one"):
    run = create_run(str(runs), "photos", run_id)
    with run.hold():
        run.write_status("running")
        write_text(run.pipeline, "")
    (run.path / "shown.png").write_bytes(b"")
    return run


def make_export(folder):
    write_json(folder / "photos" / "1" / "assets.extra" / "kft.json", {})
    (folder / "photos" / "1" / "saved_model.pb").write_bytes(b"")


OUTPUTS = Pipeline().output_folders


def find(outputs=OUTPUTS):
    return find_examples(DataConfig(path="."), output_folders=outputs)


def test_runs_and_exports_in_the_data_folder_are_ignored_and_counted(photos):
    before = load_splits(DataConfig(path="."), output_folders=OUTPUTS)
    make_run("runs")
    make_export(photos / "saved_models")
    after = load_splits(DataConfig(path="."), output_folders=OUTPUTS)
    assert after.fingerprint == before.fingerprint
    assert after.class_names == ("cat", "dog")
    # Three files of the run, its lock, and two of the export.
    assert after.ignored == {OWN: 6}


def test_they_are_known_by_what_they_hold_wherever_they_lie(photos):
    make_run("my/own/trials")
    make_export(photos / "cat" / "exports")
    found = find(outputs=())
    assert found.class_names == ("cat", "dog")
    assert found.ignored == {OWN: 6}


@pytest.mark.parametrize("inside", ["runs", "runs/photos/one", "out/exports"])
def test_folders_that_kft_is_to_write_to_are_no_classes_though_empty(photos, inside):
    (photos / inside).mkdir(parents=True)
    assert find(outputs=("runs", "out/exports")).class_names == ("cat", "dog")
    with pytest.raises(DataError, match="no pictures in class folder"):
        find(outputs=())


def test_a_class_may_have_the_name_of_a_folder_that_kft_writes_to(photos, write_classes):
    write_classes(photos__runs=2)
    make_run("runs")
    found = find()
    assert found.class_names == ("cat", "dog", "runs")
    assert len(found.examples) == 10
    assert found.ignored == {OWN: 4}


def test_they_are_counted_beside_split_folders(tmp_path, write_classes, monkeypatch):
    write_classes(train__cat=1, train__dog=1)
    monkeypatch.chdir(tmp_path)
    make_run("runs")
    assert find().ignored == {OWN: 4}


def test_a_cache_in_the_data_folder_is_no_class(photos, write_classes, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(photos / "store"))
    cache_folder("converted")
    write_classes(photos__store__converted=2)
    assert find().ignored == {OWN: 3}
    # Another process need not know of it.
    monkeypatch.setenv("KFT_CACHE_DIR", str(photos.parent / "other"))
    assert find().class_names == ("cat", "dog")


def test_a_link_to_a_run_is_no_class(photos):
    run = make_run(photos / "cat" / "runs")
    (photos / "dog" / "latest").symlink_to(run.path)
    assert find(outputs=()).class_names == ("cat", "dog")


def test_they_are_ignored_beside_record_files(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(b"")
    make_run(tmp_path / "runs")
    listing = list_record_files(str(tmp_path))
    assert [file.name for file in listing.files] == ["a.tfrecord"]
    assert listing.ignored == {OWN: 4}
