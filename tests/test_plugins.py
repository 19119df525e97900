"""What is registered from outside of kft is known to child processes and to the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

import kft
from kft.backbones import BACKBONES
from kft.cli.main import main
from kft.config import load_pipeline
from kft.errors import ConfigError
from kft.local_cluster import _environment
from kft.plugins import child_environment, load_plugins
from kft.task_names import TASKS
from kft.timing import benchmark


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    monkeypatch.delenv("KFT_PLUGINS", raising=False)
    for registry in (BACKBONES, TASKS):
        monkeypatch.setattr(registry, "_entries", dict(registry))


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    """A module that only this process has on its path."""
    (tmp_path / "own_backbone.py").write_text(
        "PLACE = 'found'\n\n"
        "def load(config):\n"
        "    from kft.backbones.small import load\n"
        "    return load(config)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    kft.register_backbone("own_cnn", "own_backbone:load")
    kft.register_task("own_task", "own_task:Task")


def test_a_child_process_knows_what_its_parent_registered(own_package):
    code = (
        "import kft; kft.load_backbone\n"
        "from kft.backbones import BACKBONES\n"
        "from kft.registry import import_from\n"
        "from kft.task_names import TASKS\n"
        "print(BACKBONES['own_cnn'], TASKS['own_task'], import_from('own_backbone:PLACE'))\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", code],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.stdout == "own_backbone:load own_task:Task found\n", child.stderr


def test_workers_of_a_local_cluster_know_it_too(own_package):
    environment = _environment(("127.0.0.1:1", "127.0.0.1:2"), 1)
    assert (
        environment["KFT_PLUGINS"]
        == "task/own_task=own_task:Task backbone/own_cnn=own_backbone:load"
    )


@pytest.mark.full
def test_the_timing_process_times_a_backbone_from_elsewhere(own_package, tmp_path, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))
    small = ("backbone.options.width=4", "backbone.input_size=16", "training.precision=float32")
    pipeline = load_pipeline(None, ["backbone.name=own_cnn", "training.jit_compile=false", *small])
    measured = benchmark(pipeline, lambda text: None, budget_seconds=200.0)
    assert measured.timings[0].examples_per_second > 0


def test_the_command_line_knows_the_plugins_of_the_variable(monkeypatch):
    monkeypatch.setenv("KFT_PLUGINS", "backbone/mine=kft.backbones.small:load task/ours=a.b:C")
    result = CliRunner().invoke(main, ["cache", "list"])
    assert result.exit_code == 0, result.output
    assert BACKBONES["mine"] == "kft.backbones.small:load"
    assert load_pipeline("photos", ["data.target=ours"]).data.target == "ours"


def test_the_functions_of_kft_know_them_as_well(monkeypatch):
    monkeypatch.setenv("KFT_PLUGINS", "backbone/mine=kft.backbones.small:load")
    assert callable(kft.load_backbone)
    assert BACKBONES["mine"] == "kft.backbones.small:load"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("head/x=a:B", r"found 'head/x=a:B', expected KIND/NAME=PLACE"),
        ("task/ordinal", r"The kinds are task, modality, backbone"),
        ("task/regression=a:B", r"task 'regression' is registered already"),
        ("backbone/x=module", r"backbone 'x': module is not a function"),
        ("modality/x=no_package:M", r"no_package:M cannot be imported: No module named"),
    ],
)
def test_a_wrong_entry_is_named(entries, said, monkeypatch):
    monkeypatch.setenv("KFT_PLUGINS", entries)
    with pytest.raises(ConfigError, match=rf"^KFT_PLUGINS: .*{said}"):
        load_plugins()
