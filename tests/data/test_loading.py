from __future__ import annotations

import subprocess
import sys

import pytest

from kft.config.schema import DataConfig, FoldersConfig
from kft.data import SOURCES, SPLIT_NAMES, load_splits
from kft.data.loading import find_source
from kft.errors import DataError


def test_importing_the_room_and_looking_at_folders_loads_no_tensorflow():
    code = (
        "import sys, kft.data, kft.data.folder, kft.data.table, kft.data.tfrecord, kft.data.tfds;"
        "assert not {'tensorflow', 'keras', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_can_be_loaded(name):
    assert callable(SOURCES.load(name))


def test_auto_looks_at_the_path(tmp_path):
    for name in ("classes", "records", "prepared"):
        (tmp_path / name).mkdir()
    for name in ("records/a.tfrecord", "prepared/a.tfrecord-0-of-1", "prepared/dataset_info.json"):
        (tmp_path / name).write_text("")
    sources = {
        "classes": "folder",
        "records": "tfrecord",
        "records/*.tfrecord": "tfrecord",
        "records/a.tfrecord": "tfrecord",
        "prepared": "tfds",
        "table.CSV": "table",
        "table.tsv": "table",
    }
    for path, source in sources.items():
        assert find_source(DataConfig(path=str(tmp_path / path))) == source
    assert find_source(DataConfig(path="tfds:mnist")) == "tfds"
    assert find_source(DataConfig(path="list.txt", source="table")) == "table"


def test_a_path_that_is_nothing_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"data.path: not given"):
        load_splits(DataConfig())
    with pytest.raises(DataError, match=r"nothing at .*nowhere"):
        load_splits(DataConfig(path=str(tmp_path / "nowhere")))
    with pytest.raises(DataError, match=r"notes.txt is no data source. Expected a folder"):
        load_splits(DataConfig(path=str(tmp_path / "notes.txt")))


def test_a_folder_becomes_checked_splits(tmp_path, write_classes):
    write_classes(ant=10, wasp=10)
    (tmp_path / "ant" / "notes.txt").write_text("")
    seen = []
    splits = load_splits(DataConfig(path=str(tmp_path)), progress=lambda *now: seen.append(now))
    assert [len(splits.get(name)) for name in SPLIT_NAMES] == [12, 4, 4]
    assert splits.ignored == {"ending .txt": 1}
    assert "stratified by class, seed 0: validation 0.2, holdout 0.2" in splits.origin
    assert seen[-1] == (20, 20)
    assert len(splits.fingerprint) == 64


def test_one_unreadable_picture_refuses_the_data(tmp_path, write_classes):
    write_classes(ant=10, wasp=10)
    (tmp_path / "wasp" / "003.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 of 20 pictures(.|\n)*wasp/003.png: the file is empty"):
        load_splits(DataConfig(path=str(tmp_path)))


def test_ants_and_bees_are_read_with_their_splits(shared):
    config = DataConfig(
        path=str(shared / "data/image/ants_bees"), folders=FoldersConfig(holdout="val")
    )
    splits = load_splits(config)
    assert splits.class_names == ("ants", "bees")
    assert [len(splits.get(name)) for name in SPLIT_NAMES] == [196, 49, 152]


def test_sign_digits_are_split_evenly(shared):
    splits = load_splits(DataConfig(path=str(shared / "data/image/sign_digits")))
    assert splits.class_names == tuple("0123456789")
    assert {int((splits.holdout.targets == i).sum()) for i in range(10)} == {12}
