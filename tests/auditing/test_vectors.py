"""Feature vectors are computed once for each way of decoding."""

from __future__ import annotations

import pytest

from kft.auditing.vectors import extract_vectors
from kft.config import load_pipeline
from kft.display import Display

TINY = ("backbone.name=small_cnn", "backbone.weights=random", "backbone.input_size=32")


@pytest.fixture
def extract(tmp_path, make_picture_folder, make_pictures, restored_globals):
    """Extract the vectors of eight real files."""
    folder = make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=4)
    files = sorted(folder.rglob("*.png"))
    real = {
        place: {
            "path": str(file),
            "size": file.stat().st_size,
            "changed_ns": file.stat().st_mtime_ns,
        }
        for place, file in enumerate(files)
    }
    pictures = make_pictures(len(files), changes=real)
    pipeline = load_pipeline(None, [*TINY, "backbone.options={width: 4}"])
    return lambda: extract_vectors(pictures, pipeline, Display())


@pytest.mark.parametrize(
    "version", ["kft.data.batches.decoded.FORMAT", "kft.modalities.image.conversion.VERSION"]
)
def test_vectors_of_another_way_of_decoding_are_not_taken(extract, monkeypatch, version):
    assert [extract().stored.was_cached for _ in range(2)] == [False, True]
    monkeypatch.setattr(version, 99)
    assert not extract().stored.was_cached
