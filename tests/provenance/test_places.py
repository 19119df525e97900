"""The files of a run are found from any directory."""

import json
from pathlib import Path

import pytest

from kft.config import dump_pipeline, load_pipeline
from kft.errors import DataError
from kft.provenance import check_run_data, load_run_pipeline
from kft.provenance.places import absolute
from kft.runs import RunDirectory

FILES = (
    "photos/cat/1.png",
    "splits.csv",
    "mine.weights.h5",
    "own/backbone.json",
    "beside/x",
    "records/a.tfrecord-0",
)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """Working directory with files that a pipeline may name."""
    home = tmp_path / "project"
    for name in FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(home)
    return home


def begin(home: Path, *settings: str, source: str = "photos", is_recorded: bool = True):
    run = RunDirectory(home / "runs/photos/r")
    run.path.mkdir(parents=True)
    run.pipeline.write_text(dump_pipeline(load_pipeline(source, settings)))
    if is_recorded:
        run.manifest.write_text(json.dumps({"working_directory": str(home)}))
    return run


def values(pipeline) -> dict[str, object]:
    data, backbone = pipeline.data, pipeline.backbone
    return {
        "data.path": data.path,
        "data.split.file": data.split.file,
        "data.table.allowed_roots": data.table.allowed_roots,
        "data.folders.allowed_roots": data.folders.allowed_roots,
        "backbone.name": backbone.name,
        "backbone.weights": backbone.weights,
        "export.directory": pipeline.export.directory,
        "runs_directory": pipeline.runs_directory,
    }


EVERYTHING = (
    "data.split.file=splits.csv",
    "data.table.allowed_roots=[beside]",
    "data.folders.allowed_roots=[beside]",
    "backbone.name=own",
    "backbone.weights=mine.weights.h5",
)


def test_every_path_of_a_run_leads_to_its_files_from_any_directory(project, monkeypatch):
    run = begin(project, *EVERYTHING)
    monkeypatch.chdir(project.parent / "elsewhere")
    found = values(load_run_pipeline(run))
    beside = (str(project / "beside"),)
    assert found == {
        "data.path": str(project / "photos"),
        "data.split.file": str(project / "splits.csv"),
        "data.table.allowed_roots": beside,
        "data.folders.allowed_roots": beside,
        "backbone.name": str(project / "own"),
        "backbone.weights": str(project / "mine.weights.h5"),
        "export.directory": str(project / "saved_models"),
        "runs_directory": str(project / "runs"),
    }


def test_paths_stay_as_written_in_the_directory_where_the_run_started(project):
    run = begin(project, *EVERYTHING)
    assert load_run_pipeline(run) == load_pipeline(str(run.pipeline))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("small_cnn", "small_cnn"),
        ("keras_hub:resnet_18_imagenet", "keras_hub:resnet_18_imagenet"),
        ("hub:https://tfhub.dev/x/1", "hub:https://tfhub.dev/x/1"),
        ("keras_hub:own", "keras_hub:{home}/own"),
        ("hub:own", "hub:{home}/own"),
    ],
)
def test_names_known_to_libraries_are_not_paths(project, monkeypatch, name, expected):
    run = begin(project, f"backbone.name={name}")
    monkeypatch.chdir(project.parent / "elsewhere")
    assert load_run_pipeline(run).backbone.name == expected.format(home=project)


@pytest.mark.parametrize("source", ["tfds:mnist", "/data/photos", "~/photos"])
def test_paths_that_are_not_relative_are_unchanged(project, monkeypatch, source):
    run = begin(project, source=source)
    monkeypatch.chdir(project.parent / "elsewhere")
    assert load_run_pipeline(run).data.path == source


@pytest.mark.parametrize("source", [".", "../project/photos", "records/*.tfrecord*"])
def test_parent_folders_and_globs_start_from_where_the_run_started(project, monkeypatch, source):
    run = begin(project, source=source)
    monkeypatch.chdir(project.parent / "elsewhere")
    expected = {".": "", "../project/photos": "photos"}.get(source, source)
    assert Path(absolute(load_run_pipeline(run).data.path)) == project / expected


def test_files_of_a_moved_project_are_found_by_the_place_of_its_run(project, monkeypatch):
    begin(project, "data.split.file=splits.csv")
    moved = project.rename(project.parent / "moved")
    monkeypatch.chdir(project.parent / "elsewhere")
    found = load_run_pipeline(RunDirectory("../moved/runs/photos/r"))
    assert found.data.path == str(moved / "photos")
    assert found.data.split.file == str(moved / "splits.csv")
    assert found.export.directory == str(moved / "saved_models")


def test_a_run_without_the_record_reads_paths_from_the_working_directory(project, monkeypatch):
    run = begin(project, is_recorded=False)
    assert load_run_pipeline(run).data.path == "photos"
    other = project.parent / "elsewhere"
    (other / "photos").mkdir()
    monkeypatch.chdir(other)
    assert load_run_pipeline(run).data.path == "photos"


def test_moved_data_can_be_named_and_overrides_start_from_here(project, monkeypatch):
    run = begin(project)
    monkeypatch.chdir(project.parent / "elsewhere")
    found = load_run_pipeline(run, ["backbone.weights=w.h5"], data="new")
    assert found.data.path == str(project.parent / "elsewhere/new")
    assert found.backbone.weights == "w.h5"


def test_missing_data_are_reported_with_the_start_directory_and_the_option(project, monkeypatch):
    run = begin(project)
    (project / "photos").rename(project / "gone")
    monkeypatch.chdir(project.parent / "elsewhere")
    with pytest.raises(DataError) as caught:
        check_run_data(run, load_run_pipeline(run))
    for part in (f"nothing at {project}/photos", f"started in {project}", "--data PATH"):
        assert part in str(caught.value)
    check_run_data(run, load_run_pipeline(run, data=str(project / "gone")))
