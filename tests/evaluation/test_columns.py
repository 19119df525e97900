"""Answers are sliced by what names, tables and files say of their examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kft.config import DataConfig
from kft.evaluation.columns import list_columns
from kft.examples import Examples, Files, Values
from kft.tasks import find_task

TASK = find_task("class")
OUTPUTS = np.tile(np.eye(2), (4, 1))


def make_examples(root: Path, make_picture_folder) -> Examples:
    make_picture_folder(root, classes=("cat", "dog"), per_class=4, size=24)
    paths = sorted(root.rglob("*.png"))
    names = tuple(path.relative_to(root).as_posix() for path in paths)
    site = np.array(["north", "south"] * 4, object)
    files = Files(tuple(map(str, paths)))
    return Examples(names, files, np.repeat([0, 1], 4), metadata={"site": site})


def test_the_modality_adds_what_it_measures(tmp_path, make_picture_folder):
    examples = make_examples(tmp_path, make_picture_folder)
    columns = list_columns(examples, DataConfig(), TASK, ("cat", "dog"), OUTPUTS)
    # A folder of each class would only repeat its recall.
    assert set(columns) >= {"answer", "file type", "site", "size", "brightness"}
    assert "folder" not in columns
    assert list(columns["answer"].values) == ["cat", "dog"] * 4
    assert set(columns["size"].texts) == {"24 x 24"}


def test_folders_that_mix_classes_are_a_property(tmp_path, make_picture_folder):
    examples = make_examples(tmp_path, make_picture_folder)
    mixed = Examples(examples.ids, examples.inputs, np.arange(8) % 2)
    columns = list_columns(mixed, DataConfig(), TASK, ("cat", "dog"), OUTPUTS)
    assert set(columns["folder"].values) == {"cat", "dog"}


def test_files_that_are_gone_and_texts_in_memory_have_what_is_left(tmp_path):
    gone = Examples(("a.png",) * 8, Files((str(tmp_path / "a.png"),) * 8), np.arange(8) % 2)
    columns = list_columns(gone, DataConfig(), TASK, ("cat", "dog"), OUTPUTS)
    assert set(columns) == {"answer", "file type", "folder"}
    texts = Examples(("1",) * 8, Values((b"a good film",) * 8), np.arange(8) % 2)
    config = DataConfig(modality="text")
    assert "file type" not in list_columns(texts, config, TASK, ("cat", "dog"), OUTPUTS)
