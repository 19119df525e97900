"""`kft launch`, and the options of `kft train` for jobs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from kft.cli.main import main
from kft.local_cluster import find_ports, launch


def invoke(*arguments: str, **environ: str):
    return CliRunner(env=environ).invoke(main, list(arguments), prog_name="kft")


def test_output_of_all_workers_is_relayed_with_their_numbers_and_exit_code(capfd):
    assert launch(2, ["train", "nowhere/photos"]) == 2
    said = capfd.readouterr().err.splitlines()
    for number in (0, 1):
        (line,) = (line for line in said if line.startswith(f"[{number}] error: "))
        assert "nowhere/photos" in line
    assert sum("ended with exit code 2; the others have 60 s to end too" in x for x in said) <= 1


def test_options_of_train_are_forwarded(capfd):
    assert launch(3, ["train", "--resume", "nowhere"]) == 2
    said = capfd.readouterr().err
    assert said.count("error: nowhere: no such run directory") == 3


def test_a_cluster_needs_two_workers():
    result = invoke("launch", "--workers", "1", "photos")
    assert result.exit_code == 2
    assert "--workers" in result.output


def test_ports_are_distinct():
    assert len(set(find_ports(5))) == 5


def test_an_invalid_tf_config_ends_the_command(tmp_path):
    result = invoke("train", str(tmp_path), TF_CONFIG="{")
    assert result.exit_code == 2
    assert "TF_CONFIG: found '{'" in result.output


def test_a_search_is_refused_in_a_cluster(tmp_path, make_picture_folder):
    photos = make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=4)
    cluster = json.dumps(
        {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    )
    space = "tuning.space={training.seed: {values: [1, 2]}}"
    result = invoke("tune", str(photos), space, TF_CONFIG=cluster)
    assert result.exit_code == 2
    assert "a search trains in one process" in result.output


@pytest.mark.parametrize("settings", [(), ("--run-id", "x", "--resume", "y")])
def test_or_resume_needs_the_name_of_a_run(settings, tmp_path):
    result = invoke("train", str(tmp_path), "--resume-if-started", *settings)
    assert result.exit_code == 2
    assert "--run-id" in result.output


def test_a_finished_run_is_reported_and_not_repeated(tmp_path, make_picture_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=4)
    run = tmp_path / "runs/photos/nightly"
    run.mkdir(parents=True)
    (run / "status.json").write_text(
        '{"state": "finished", "time": "2026-01-01", "export": "saved"}'
    )
    asked = []
    monkeypatch.setattr(
        "kft.run_start.check_same_as_finished", lambda run, pipeline: asked.append(run.path)
    )
    result = invoke("train", "photos", "--run-id", "nightly", "--resume-if-started")
    assert result.exit_code == 0, result.output
    assert "runs/photos/nightly is finished" in result.output
    assert [str(path) for path in asked] == ["runs/photos/nightly"]
