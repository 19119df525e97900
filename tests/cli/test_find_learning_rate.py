"""`kft find-learning-rate` finds a rate, draws the curve, and refuses strategies it cannot test."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from kft.cli.main import main

SMALL = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=32",
    "backbone.options.width=4",
    "training.global_batch_size=8",
)


@pytest.fixture
def place(tmp_path, monkeypatch, make_picture_folder):
    monkeypatch.chdir(tmp_path)
    make_picture_folder(tmp_path / "photos", per_class=8)
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(main, ["find-learning-rate", *arguments])


def refused(place, *arguments: str) -> str:
    before = sorted(place.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert sorted(place.rglob("*")) == before
    return result.stderr


def test_a_rate_is_found_and_drawn_with_the_override_to_use_it(place, restored_globals):
    result = run("photos", *SMALL, "strategy.name=full", "--output", "curve.png")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Tested: phase full, rates 1.0e-06 to ")
    key, _, value = lines[-2].removeprefix("Use it: ").partition("=")
    assert key == "strategy.learning_rate"
    assert 1e-6 < float(value) < 1
    assert lines[-1] == "Plot: curve.png"
    pixels = np.asarray(Image.open(io.BytesIO((place / "curve.png").read_bytes())))
    # The picture is not blank.
    assert pixels.shape[0] >= 400
    assert 0.01 < np.mean(pixels[..., :3].min(axis=2) < 250) < 0.5
    assert sorted(path.name for path in place.iterdir()) == ["curve.png", "photos"]


def test_a_loss_that_does_not_fall_suggests_nothing(place, restored_globals, monkeypatch):
    monkeypatch.setattr("kft.rate_finding.HIGH", 2e-6)
    result = run("photos", *SMALL, "strategy.name=full", "--json")
    assert result.exit_code == 0, result.output
    curve = json.loads(result.stdout)
    assert curve["suggestion"] is curve["cautious"] is curve["override"] is None
    assert "to 2.0e-06, without an explosion." in result.stderr
    assert "No suggestion: the smoothed loss shows no clear fall" in result.stderr
    assert "Use it" not in result.stderr
    assert (place / "find-learning-rate.png").is_file()


@pytest.mark.full
def test_the_whole_curve_is_json(place, restored_globals):
    answer = run("photos", *SMALL, "strategy.name=full", "training.optimizer=sgd", "--json")
    curve = json.loads(answer.stdout)
    assert curve["phase"] == "full"
    assert curve["override"] == f"strategy.learning_rate={curve['suggestion']:g}"
    assert len(curve["rates"]) == len(curve["losses"]) == len(curve["smoothed"]) >= 10
    assert curve["rates"] == sorted(curve["rates"])
    assert (place / "find-learning-rate.png").is_file()


@pytest.mark.full
def test_the_phase_after_a_solved_probe_is_tested(place, restored_globals):
    result = run("photos", *SMALL, "strategy.name=top_k", "data.image.augmentation=none", "--json")
    assert result.exit_code == 0, result.output
    curve = json.loads(result.stdout)
    assert curve["phase"] != "linear_probe"
    assert curve["setting"] == "strategy.learning_rate"


@pytest.mark.full
def test_a_trained_probe_has_a_separate_setting(place, restored_globals):
    result = run("photos", *SMALL, "strategy.name=linear_probe", "strategy.probe=trained", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["setting"] == "strategy.probe_learning_rate"


@pytest.mark.full
def test_a_phase_of_a_list_is_named_by_its_place(place, restored_globals):
    phases = "strategy.phases=[{name: probe, method: solve}, {name: deep, trainable: [all]}]"
    result = run("photos", *SMALL, "strategy.name=phases", phases)
    assert result.exit_code == 0, result.output
    assert "Use it: strategy.phases[1].learning_rate: " in result.stdout
    assert "in the pipeline file" in result.stdout


def test_a_strategy_without_steps_has_no_rate(place, restored_globals):
    message = refused(place, "photos", *SMALL, "strategy.name=linear_probe")
    assert "the probe is solved" in message
    assert "strategy.name=full" in message


@pytest.mark.parametrize(
    "output, said", [("curve.jpg", "must end in .png"), ("nowhere/curve.png", "cannot be written")]
)
def test_a_plot_that_cannot_be_written_is_refused_at_once(place, output, said):
    message = refused(place, "photos", *SMALL, "--output", output)
    assert "--output" in message
    assert output in message
    assert said in message


def test_missing_data(place):
    assert "nowhere" in refused(place, "nowhere", *SMALL)
