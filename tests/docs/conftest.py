"""Folder in which the documents' commands and code run."""

from pathlib import Path

import pytest


@pytest.fixture
def place_of_the_tour(tmp_path, monkeypatch, shared) -> Path:
    """Provide a folder with `photos`, and the real weights."""
    (tmp_path / "photos").symlink_to(shared / "data/image/ants_bees")
    monkeypatch.setenv("KFT_WEIGHTS_DIR", str(shared / "weights"))
    monkeypatch.chdir(tmp_path)
    return tmp_path
