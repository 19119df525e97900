"""Every pipeline file runs unchanged, and reaches the figure in its header."""

import csv
import re
from pathlib import Path

import pytest

from kft.config import load_pipeline
from kft.modalities.video.moving_shapes import write_clips

FILES = sorted((Path(__file__).parents[2] / "pipelines").glob("*.yaml"))
# Which real data stands behind the name in a header.
DATA = {
    "ants_bees": "data/image/ants_bees",
    "sign_digits": "data/image/sign_digits",
    "cifar10": "data/image/cifar10",
    "blood_cells": "data/detection/blood_cells",
    "camvid": "data/segmentation/camvid",
}
# Those whose served graphs differ in kind; an export takes as long as a short training.
EXPORTED = {"auto", "lp_ft", "lora", "hub"}
# Trained whenever tests run: a module that kft did not build.
ALWAYS_TRAINED = {"hub"}
MODULE = "hub/mobilenet_v2_035_224_feature_vector"
MINILM = "weights/text/minilm_l3"
YAMNET = "weights/yamnet_256_backbone.keras"
DIGITS = "spoken_digits.csv"
SHAPES = "moving_shapes"


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


def command_of(path: Path, shared: Path, *, clips: int = 60) -> tuple[str, list[str]]:
    """Read the command in a header, with real data in place of the placeholders."""
    run = re.search(r"^# Run:\s+(.+)$", header_of(path), re.MULTILINE)[1]
    _, verb, _, *overrides = run.split()
    places = {
        "hub:MODULE": f"hub:{shared / MODULE}",
        "keras_hub:MINILM": f"keras_hub:{shared / MINILM}",
        "YAMNET": str(shared / YAMNET),
        **{f"data.path={name}": f"data.path={shared / folder}" for name, folder in DATA.items()},
    }
    for name, place in places.items():
        overrides = [each.replace(name, place) for each in overrides]
    if f"data.path={DIGITS}" in overrides:
        overrides += write_digits(shared)
    if f"data.path={SHAPES}" in overrides and not Path(SHAPES).exists():
        write_clips(Path(SHAPES), clips)
    return verb, overrides


def write_reviews(shared: Path, path: Path) -> None:
    """Write the sentences of film reviews as a table with a header."""
    labels = {"0": "negative", "1": "positive"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label", "split"))
        for split in ("train", "dev", "test"):
            content = (shared / "data/text/sst2" / f"{split}.tsv").read_text(encoding="utf-8")
            for line in content.rstrip("\n").split("\n"):
                text, _, label = line.rpartition("\t")
                writer.writerow((text, labels[label], split))


def write_digits(shared: Path) -> list[str]:
    """Write the table of the spoken digits, named `digit_speaker_take.wav`; return its settings."""
    folder = shared / "data/audio/spoken_digits/recordings"
    names = sorted(path.name for path in folder.glob("*.wav"))
    rows = [f"{name},digit {name[0]},{name.split('_')[1]}" for name in names]
    Path(DIGITS).write_text("\n".join(["path,label,speaker", *rows]) + "\n", encoding="utf-8")
    return [f"data.table.folder={folder}", f"data.table.allowed_roots=[{folder}]"]


def skip_without_keras_hub(overrides: list[str]) -> None:
    if any("keras_hub:" in each for each in overrides):
        pytest.importorskip("keras_hub", reason="KerasHub, the extra `hub`, is missing")


@pytest.fixture
def real_weights(shared, tmp_path, monkeypatch) -> Path:
    """Provide real weights, and a working directory with a table of reviews."""
    monkeypatch.setenv("KFT_WEIGHTS_DIR", str(shared / "weights"))
    monkeypatch.chdir(tmp_path)
    write_reviews(shared, tmp_path / "reviews.csv")
    return shared


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_it_can_be_planned_on_real_data(path, real_weights, restored_globals):
    from kft.display import Display
    from kft.workflow import make_plan

    _, overrides = command_of(path, real_weights, clips=8)
    skip_without_keras_hub(overrides)
    plan = make_plan(load_pipeline(str(path), overrides), Display(), is_thorough=False)
    assert plan.phases
    assert len(plan.splits.holdout)


def test_the_default_trains_and_exports_real_photographs(real_weights, capfd):
    """What most people run, whole, at a size that takes a quarter of the time of `auto.yaml`."""
    from kft.cli.main import main

    small = ("backbone.name=mobilenet", "backbone.options.alpha=0.25", "backbone.input_size=96")
    short = ("strategy.duration=3 epochs",)
    with pytest.raises(SystemExit) as ended:
        main(["train", str(real_weights / DATA["ants_bees"]), *small, *short])
    assert ended.value.code == 0
    shown = capfd.readouterr().out
    assert float(re.search(r"Holdout\s+accuracy ([\d.]+)", shown)[1]) >= 0.8
    assert re.search(r"Export\s+saved_models/ants_bees/1 \(\d+ examples served as trained", shown)


TRAINED = [
    pytest.param(path, marks=[] if path.stem in ALWAYS_TRAINED else [pytest.mark.full])
    for path in FILES
]


@pytest.mark.pipeline
@pytest.mark.parametrize("path", TRAINED, ids=lambda p: p.stem)
def test_it_reaches_the_stated_figure(path, real_weights, capfd):
    from kft.cli.main import main

    verb, overrides = command_of(path, real_weights)
    skip_without_keras_hub(overrides)
    expectation = r"^# Expect: ([\w ]+) at least ([\d.]+)$"
    figure, expected = re.search(expectation, header_of(path), re.MULTILINE).groups()
    own = [] if path.stem in EXPORTED else ["export.enabled=false"]
    with pytest.raises(SystemExit) as ended:
        main([verb, str(path), *overrides, *own])
    assert ended.value.code == 0
    reached = re.search(rf"Holdout\s+{figure} ([\d.]+)", capfd.readouterr().out)[1]
    assert float(reached) >= float(expected)
