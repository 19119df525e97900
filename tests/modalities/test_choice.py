"""The modality of data, where `data.modality` leaves it open."""

from __future__ import annotations

from pathlib import Path

import pytest

from kft.config import load_pipeline
from kft.modalities import choose_modality


def choose(path: Path, *overrides: str) -> str:
    return choose_modality(load_pipeline(str(path), overrides).data).name


@pytest.mark.parametrize(
    ("text", "modality"),
    [
        ("path,label\na.wav,0.5\nb.WAV,1.5\n", "audio"),
        ('label;file\n"cat";"a b.jpg"\ndog;c.png\n', "image"),
        ("path\tlabel\nsounds/a.flac\tx\nsounds/b.mp3\ty\nreadme.txt\tz\n", "audio"),
        ("path,label\n0a1b,cat\n", "image"),
        ("", "image"),
        ("text,label\nA fine film.,good\n", "text"),
        ("\ufeffLabel;Review\ngood;A fine film.\n", "text"),
        ('{"sentence": "A fine film.", "label": 1}\n', "text"),
        ("path,text,label\na.jpg,a cat,cat\n", "image"),
    ],
)
def test_most_file_names_of_a_table_decide(text, modality, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text(text)
    assert choose(table) == modality
    assert choose(table, "data.modality=text") == "text"


def test_a_column_of_parquet_decides_too(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = tmp_path / "reviews.parquet"
    pq.write_table(pa.table({"label": ["good"], "text": ["A fine film."]}), table)
    assert choose(table) == "text"
    table.write_bytes(b"PAR1")
    assert choose(table) == "image"


def test_at_least_half_of_the_files_of_a_folder_decide(tmp_path):
    for name in ("a/1.wav", "a/2.wav", "a/readme.txt", "b/1.ogg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert choose(tmp_path) == "audio"
    assert choose(tmp_path / "nothing") == "image"
