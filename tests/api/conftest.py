"""Fixture of a small run, trained once through the Python API."""

from pathlib import Path

import pytest

import kft


@pytest.fixture(scope="package")
def place(tmp_path_factory, make_picture_folder) -> Path:
    place = tmp_path_factory.mktemp("api")
    make_picture_folder(place / "photos", classes=("cat", "dog", "owl"), per_class=15, size=24)
    return place


@pytest.fixture(scope="package")
def settings(place) -> dict[str, object]:
    """Settings of small runs."""
    return {
        "backbone": {"name": "small_cnn", "weights": "random", "options": {"width": 4}},
        "strategy": {"name": "lp_ft", "duration": 6, "learning_rate": 1e-2},
        "training": {"global_batch_size": 8},
        "export": {"enabled": False, "directory": place / "saved_models"},
        "runs_directory": place / "runs",
    }


@pytest.fixture(scope="package")
def run(place, settings) -> kft.Run:
    return kft.train(place / "photos", run_id="first", **settings)
