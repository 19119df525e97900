"""Every pipeline file runs as it is, to the figure that its header states."""

import re
from pathlib import Path

import pytest

from kft.config import load_pipeline

FILES = sorted((Path(__file__).parents[2] / "pipelines").glob("*.yaml"))
# Which real data stands behind the name in a header.
DATA = {
    "ants_bees": "data/image/ants_bees",
    "sign_digits": "data/image/sign_digits",
    "cifar10": "data/image/cifar10",
}
# Those whose served graphs differ in kind; an export takes as long as a short training.
EXPORTED = {"lp_ft", "lora", "hub"}
MODULE = "hub/mobilenet_v2_035_224_feature_vector"


def header_of(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


def test_there_are_pipeline_files():
    assert len(FILES) >= 5


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_header_says_what_it_shows_how_to_run_it_and_what_to_expect(path):
    header = header_of(path)
    for entry in ("Shows", "Run", "Data", "Expect"):
        assert re.search(rf"^# {entry}:\s+\S", header, re.MULTILINE), entry
    assert f"pipelines/{path.name}" in header


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_it_validates(path):
    assert load_pipeline(str(path)).name == path.stem


@pytest.mark.pipeline
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_it_reaches_the_stated_figure(path, shared, tmp_path, monkeypatch, capfd):
    from kft.cli.main import main

    header = header_of(path)
    _, verb, _, *overrides = re.search(r"^# Run:\s+(.+)$", header, re.MULTILINE)[1].split()
    expected = float(re.search(r"^# Expect: accuracy at least ([\d.]+)$", header, re.MULTILINE)[1])
    overrides = [override.replace("hub:MODULE", f"hub:{shared / MODULE}") for override in overrides]
    overrides = [
        f"data.path={shared / DATA[o.removeprefix('data.path=')]}"
        if o.startswith("data.path=")
        else o
        for o in overrides
    ]
    monkeypatch.setenv("KFT_WEIGHTS_DIR", str(shared / "weights"))
    monkeypatch.chdir(tmp_path)
    own = [f"runs_directory={tmp_path}/runs", f"export.directory={tmp_path}/saved_models"]
    own += [] if path.stem in EXPORTED else ["export.enabled=false"]
    with pytest.raises(SystemExit) as ended:
        main([verb, str(path), *overrides, *own])
    assert ended.value.code == 0
    accuracy = float(re.search(r"Holdout\s+accuracy ([\d.]+)", capfd.readouterr().out)[1])
    assert accuracy >= expected
