"""A run, its card and its export share one bit depth, so a sample is equally bright in each."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kft.config import load_pipeline
from kft.display import Display
from kft.modalities.image.sample_scale import scale_samples
from kft.run_operations import predict as verbs
from kft.run_operations.asked_model import read_calibration, read_config
from kft.run_operations.evaluate import evaluate_run
from kft.runs.layout import read_json
from kft.serving.signatures import ServedModel
from kft.training import load_trained
from kft.workflow import train

WHITE = 4095


def write_exposures(folder: Path, *, is_flat: bool = False, largest: int = WHITE) -> None:
    """Write dark and bright pictures of 12 bits, or the same pictures in 8 bits if `is_flat`."""
    rng = np.random.default_rng(0)
    for name, exposure in (("dark", 1000), ("bright", 3000)):
        (folder / name).mkdir(parents=True)
        for i in range(8):
            values = exposure * (0.8 + 0.3 * np.kron(rng.random((4, 4)), np.ones((8, 8))))
            values[0, 0] = WHITE if (name, i) == ("bright", 0) else values[0, 0]
            samples = (values * largest / WHITE).round().astype(np.uint16)
            shown = scale_samples(samples, WHITE) if is_flat else samples
            Image.fromarray(shown).save(folder / name / f"{i}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train on pictures of 12 bits: the run and its output."""
    root = tmp_path_factory.mktemp("depth")
    write_exposures(root / "deep")
    overrides = (
        "backbone.name=small_cnn",
        "backbone.weights=random",
        "backbone.input_size=32",
        "backbone.options.width=4",
        "strategy.name=linear_probe",
        "data.split.near_duplicates=ignore",
        "export.enabled=false",
        f"runs_directory={root}/runs",
    )
    display = Display(Console(file=io.StringIO(), force_terminal=False, width=200))
    finished = train(load_pipeline(str(root / "deep"), overrides), display)
    return finished.run, display.console.file.getvalue()


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Path:
    run, _ = trained
    loaded = load_trained(run)
    folder = tmp_path_factory.mktemp("export") / "1"
    ServedModel(loaded.model, loaded.head, loaded.decoder).save(folder)
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / "kft.json").write_text(run.model_card.read_text(), encoding="utf-8")
    return folder


def test_a_run_says_and_records_its_depth(trained):
    run, said = trained
    words = "12 bits, so 4,095 is white: needed for the largest sample of 16"
    (line,) = [line for line in said.splitlines() if line.startswith("Depth:")]
    assert words in line and "4,095 in bright/0.png" in line and "Repaired" not in said
    assert read_json(run.manifest)["calibration"]["value"] == 12
    assert read_json(run.model_card)["input"]["depth"] == 12
    assert load_trained(run).decoder.depth == 12


@pytest.mark.full
def test_run_export_and_flat_pictures_answer_alike(trained, exported, tmp_path):
    run, _ = trained
    write_exposures(tmp_path / "flat", is_flat=True)
    deep = run.path.parents[2] / "deep"
    names = [f"{kind}/{i}.png" for kind in ("dark", "bright") for i in range(0, 8, 3)]
    asked = [
        list(verbs.predict(where, [str(folder / name) for name in names]))
        for where in (run.path, exported)
        for folder in (deep, tmp_path / "flat")
    ]
    for answers in zip(*asked, strict=True):
        first = answers[0].values
        for other in answers[1:]:
            assert other.values == pytest.approx(first, abs=1e-5)
    # At another depth, dark pictures would be classified as bright ones or the reverse.
    said = [answer.best(1)[0][0] for answer in asked[0]]
    assert said == [name.split("/")[0] for name in names]


def test_a_picture_that_needs_more_bits_than_the_run_is_refused(trained, exported, tmp_path):
    run, _ = trained
    path = tmp_path / "deeper.png"
    Image.fromarray(np.full((32, 32), 5000, np.uint16)).save(path)
    for where in (run.path, exported):
        (refused,) = verbs.predict(where, [str(path)])
        assert "5,000, needs 13 bits, but the model was" in refused.reason


def test_other_data_is_judged_at_the_depth_of_the_run(trained, tmp_path):
    run, _ = trained
    write_exposures(tmp_path / "dim", largest=900)
    display = Display(Console(file=io.StringIO(), force_terminal=False, width=200))
    evaluate_run(run.path, display, data=str(tmp_path / "dim"))
    assert (
        "Depth: 12 bits, so 4,095 is white: as in the training" in display.console.file.getvalue()
    )


def test_the_card_of_an_older_export_is_still_read(exported, tmp_path):
    card = json.loads((exported / "assets.extra" / "kft.json").read_text(encoding="utf-8"))
    del card["input"]["depth"], card["input"]["depth_is_set"]
    card["input"]["background"] = "black"
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "kft.json").write_text(json.dumps(card), encoding="utf-8")
    (tmp_path / "saved_model.pb").write_bytes(b"")
    settings = read_config(tmp_path).image
    assert (settings.background, settings.depth) == ("black", "auto")
    assert read_calibration(tmp_path).value is None
