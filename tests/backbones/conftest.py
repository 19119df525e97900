"""Real weights, and backbones small enough to build in every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from kft.config.schema import BackboneConfig

# Keras 3.15 reads variables through numpy's old __array__ protocol, of which numpy 2 warns.
OLD_ARRAY_PROTOCOL = "ignore:__array__ implementation:DeprecationWarning"


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings(OLD_ARRAY_PROTOCOL))


@pytest.fixture
def offline(monkeypatch, tmp_path) -> Path:
    """Empty the Keras cache and KFT_WEIGHTS_DIR, whose path is returned, and block downloads."""

    def refuse(*_args, **_kwargs):
        raise OSError("the test has no network")

    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("KFT_WEIGHTS_DIR", str(folder))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("keras.utils.get_file", refuse)
    return folder


@pytest.fixture
def small_config() -> BackboneConfig:
    return BackboneConfig(name="small_cnn", weights="random", options={"width": 4})
