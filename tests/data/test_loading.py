from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kft.config import DataConfig, FoldersConfig, TableConfig
from kft.data import SOURCES, load_splits
from kft.data.found import Found
from kft.data.loading import find_examples, find_source, refuse_unlearnable
from kft.errors import DataError
from kft.examples import SPLIT_NAMES, Examples, Files
from kft.tasks import find_task


def test_importing_the_room_and_looking_at_folders_loads_no_tensorflow():
    code = (
        "import sys, kft.data, kft.data.sources.folder, kft.data.sources.table, "
        "kft.data.sources.tfrecord, kft.data.sources.tfds;"
        "assert not {'tensorflow', 'keras', 'PIL'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
    with pytest.raises(DataError, match=r"notes.txt is not a data source. Expected a folder"):
        load_splits(DataConfig(path=str(tmp_path / "notes.txt")))


def test_a_folder_becomes_checked_splits(tmp_path, write_classes):
    write_classes(ant=10, wasp=10)
    (tmp_path / "ant" / "notes.txt").write_text("")
    seen = []
    splits = load_splits(DataConfig(path=str(tmp_path)), progress=lambda *now: seen.append(now))
    assert [len(splits.get(name)) for name in SPLIT_NAMES] == [12, 4, 4]
    assert splits.ignored == {"ending .txt": 1}
    assert splits.quarantined == () and splits.repaired == {} and splits.noticed == {}
    assert "stratified by class, seed 0: validation 0.2, holdout 0.2" in splits.origin
    assert seen[-1] == (20, 20)
    assert len(splits.fingerprint) == 64


def test_what_cannot_be_used_is_left_out_and_named(tmp_path, write_classes, write_picture):
    write_classes(ant=10, wasp=10)
    write_picture("ant/x.tif")
    (tmp_path / "wasp" / "003.png").write_bytes(b"")
    splits = load_splits(DataConfig(path=str(tmp_path)))
    assert [(bad.name, bad.reason) for bad in splits.quarantined] == [
        ("wasp/003.png", "the file is empty")
    ]
    assert splits.repaired == {"TIFF": 1}
    everything = Examples.join([splits.get(name) for name in SPLIT_NAMES])
    assert len(everything) == 20 and len(everything.inputs.stamps) == 20
    assert "wasp/003.png" not in everything.ids and "ant/x.tif" in everything.ids
    assert not any(path.endswith(".tif") for path in everything.inputs.paths)
    with pytest.raises(DataError, match=r"1 of 21 pictures(.|\n)*wasp/003.png: the file is empty"):
        load_splits(DataConfig(path=str(tmp_path), on_invalid_file="stop"))


def test_pictures_that_look_the_same_stay_on_one_side(tmp_path, write_classes):
    write_classes(ant=20, wasp=20)
    for folder in ("ant", "wasp"):
        for number in range(20):
            path = tmp_path / folder / f"{number:03d}.png"
            with Image.open(path) as picture:
                picture.resize((48, 40)).save(path.with_name(f"{number:03d} copy.png"))
    splits = load_splits(DataConfig(path=str(tmp_path)))
    for name in SPLIT_NAMES:
        ids = splits.get(name).ids
        originals = {name.replace(" copy", "") for name in ids}
        assert len(ids) == 2 * len(originals)
    assert "near duplicates kept together (40 sets)" in splits.origin


def test_given_splits_can_be_left_aside(tmp_path, write_classes):
    write_classes(train__ant=3, train__wasp=3, val__ant=2, val__wasp=2)
    shutil.copy(tmp_path / "train/ant/000.png", tmp_path / "val/ant/copy.png")
    config = DataConfig(path=str(tmp_path), validation=0.0, holdout=0.0)
    assert len(load_splits(config).quarantined) == 1
    splits = load_splits(config, as_one=True)
    assert len(splits.train) == 11 and splits.quarantined == ()


def test_ants_and_bees_are_read_with_their_splits(shared):
    config = DataConfig(
        path=str(shared / "data/image/ants_bees"), folders=FoldersConfig(holdout="val")
    )
    splits = load_splits(config)
    assert splits.class_names == ("ants", "bees")
    assert [len(splits.get(name)) for name in SPLIT_NAMES] == [196, 49, 152]
    assert splits.quarantined == () and splits.repaired == {}
    # The only GIF is a placeholder: it decodes, so it is used; `kft audit` tells of it.
    everything = Examples.join([splits.get(name) for name in SPLIT_NAMES])
    assert "train/ants/imageNotFound.gif" in everything.ids


def test_sign_digits_are_split_evenly(shared):
    splits = load_splits(DataConfig(path=str(shared / "data/image/sign_digits")))
    assert splits.class_names == tuple("0123456789")
    assert {int((splits.holdout.targets == i).sum()) for i in range(10)} == {12}
    assert splits.noticed == {"turned upright according to EXIF": 1}


CLASSES = np.array([0, 0], np.int64)
LABELS = np.array([[1, 0], [1, 0]], np.float32)


@pytest.mark.parametrize(
    ("kind", "names", "targets", "said"),
    [
        ("class", ("ant",), CLASSES, "one class, 'ant'; classification needs at least two"),
        ("class", ("ant", "bee"), CLASSES, "class bee has no example, so it cannot be learned"),
        ("labels", ("red", "round"), LABELS, "label round has no example"),
    ],
)
def test_what_cannot_be_learned_is_refused_whatever_the_source(kind, names, targets, said):
    found = Found(
        Examples(("a", "b"), Files(("/a", "/b")), targets),
        None,
        find_task(kind),
        names,
        "somewhere",
    )
    with pytest.raises(DataError, match=said):
        refuse_unlearnable(found)


def test_numbers_that_are_all_0_can_be_learned(tmp_path, write_classes):
    write_classes(ant=2)
    (tmp_path / "new.csv").write_text("path,x,y\nant/000.png,0,0\nant/001.png,0,0\n")
    table = TableConfig(label_columns=("x", "y"))
    config = DataConfig(path=str(tmp_path / "new.csv"), table=table, target="number")
    found = find_examples(config)
    assert found.class_names == ("x", "y")
    assert not found.examples.targets.any()


def test_a_label_or_class_that_occurs_nowhere_is_refused_but_where_it_is_judged(
    tmp_path, write_classes
):
    write_classes(ant=2)
    (tmp_path / "new.csv").write_text("path,a,b\nant/000.png,1,0\nant/001.png,1,0\n")
    table = TableConfig(label_columns=("a", "b"))
    for target in ("auto", "labels", "class"):
        config = DataConfig(path=str(tmp_path / "new.csv"), table=table, target=target)
        with pytest.raises(DataError, match=r"(label|class) b has no example"):
            find_examples(config)
        assert find_examples(config, is_other=True).class_names == ("a", "b")
