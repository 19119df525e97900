"""Folder layouts that are probably not meant as class folders are refused."""

from __future__ import annotations

import pytest

from kft.config import DataConfig, FoldersConfig
from kft.data.sources.folder import find_folder
from kft.errors import DataError


def find(path, **folders):
    return find_folder(DataConfig(path=str(path), folders=FoldersConfig(**folders)))


@pytest.mark.parametrize(
    ("train", "holdout"),
    [
        *(("training_set", "test_set"), ("train-set", "TestSet"), ("seg_train", "seg_test")),
        *(("Training", "Testing"), ("trainset", "testset")),
    ],
)
def test_folders_of_archives_are_splits_packed_twice_or_not(
    tmp_path, write_classes, train, holdout
):
    for part, count in ((train, 2), (holdout, 1)):
        for depth, root in ((1, "flat"), (2, "packed"), (3, "thrice")):
            folder = "__".join([root, *[part] * depth])
            write_classes(**{f"{folder}__cats": count, f"{folder}__dogs": count})
    for root, depth in (("flat", 1), ("packed", 2), ("thrice", 3)):
        found = find(tmp_path / root)
        assert found.class_names == ("cats", "dogs")
        assert found.given_splits == ("train",) * 4 + ("holdout",) * 2
        where = "/".join([train] * depth)
        assert found.noticed == (
            {}
            if depth == 1
            else {
                f"in {where}, taken for train": 4,
                f"in {'/'.join([holdout] * depth)}, taken for holdout": 2,
            }
        )


def test_every_file_beside_what_is_packed_twice_is_counted(tmp_path, write_classes, write_picture):
    write_classes(seg_train__seg_train__a=1, seg_train__seg_train__b=1, seg_pred__seg_pred=3)
    write_picture("seg_train/loose.png")
    (tmp_path / "seg_train" / "notes.txt").write_text("")
    assert find(tmp_path).ignored == {
        "picture beside the split folders": 1,
        "ending .txt": 1,
        "in folder 'seg_pred', which is not a split": 3,
    }


@pytest.mark.parametrize("deeper", ["", "__packed"])
def test_class_folders_that_hold_the_same_folders_are_asked_for(tmp_path, write_classes, deeper):
    for part in ("one", "two"):
        write_classes(**{f"{part}{deeper}__cats": 2, f"{part}{deeper}__dogs": 2})
    with pytest.raises(DataError, match=r"both hold folders cats, dogs") as caught:
        find(tmp_path)
    inside = deeper.replace("__", "/")
    assert f"data.path={tmp_path}/one{inside};" in str(caught.value)
    train, holdout = f"one{inside}", f"two{inside}"
    assert f"data.folders.train={train} data.folders.holdout={holdout}" in str(caught.value)
    # Each piece of advice is obeyed as it stands.
    assert find(tmp_path, train=train, holdout=holdout).class_names == ("cats", "dogs")
    assert find(tmp_path / "one" / inside.strip("/")).class_names == ("cats", "dogs")
    pooled = find(tmp_path, nested="pool")
    assert pooled.class_names == ("one", "two")
    assert pooled.noticed == {
        "from folders within class 'one'": 4,
        "from folders within class 'two'": 4,
    }


def test_split_folders_within_class_folders_are_asked_for(tmp_path, write_classes):
    write_classes(cat__train=2, cat__val=1, dog__train=2)
    with pytest.raises(DataError, match=r"cat and dog hold no pictures, but both hold .*train"):
        find(tmp_path)


def test_folders_within_classes_that_differ_are_pooled_with_a_word(tmp_path, write_classes):
    write_classes(animals__cat=2, animals__dog=3, animals=1, plants__rose=2, plants__fern=1)
    assert find(tmp_path).noticed == {
        "from folders within class 'animals'": 5,
        "from folders within class 'plants'": 3,
    }


def test_the_words_on_many_classes_are_one(tmp_path, write_classes):
    write_classes(**{f"c{number}__in{number}": 2 for number in range(7)})
    assert find(tmp_path).noticed == {"from folders within 7 class folders": 14}


def test_a_folder_around_the_class_folders_is_named(tmp_path, write_classes):
    write_classes(data__photos__cat=1, data__photos__dog=1)
    with pytest.raises(DataError, match=rf"holds cat, dog.* data\.path={tmp_path}/data/photos\."):
        find(tmp_path)


def test_a_folder_around_the_class_folders_of_a_split_is_named(tmp_path, write_classes):
    write_classes(train__photos__cat=1, train__photos__dog=1)
    with pytest.raises(DataError, match=r"holds cat, dog.*set data\.folders\.train=train/photos,"):
        find(tmp_path)
    assert find(tmp_path, train="train/photos").class_names == ("cat", "dog")


@pytest.mark.parametrize("name", ["..", "/etc", "train/../..", "gone"])
def test_a_split_folder_lies_in_the_data_folder(tmp_path, write_classes, name):
    write_classes(train__cat=1, train__dog=1)
    with pytest.raises(DataError, match=r"data.folders.holdout: .* has no folder"):
        find(tmp_path, holdout=name)


@pytest.mark.parametrize(
    ("table", "advice"),
    [
        ("train/metadata.csv", r"`data\.path=\S*train/metadata\.csv`.*path_column=file_name"),
        ("train/metadata.jsonl", r"kft does not read JSON lines.*to_csv.*path_column=file_name"),
        ("train.csv", r"`data\.path=\S*train\.csv`.*path_column=COLUMN"),
    ],
)
@pytest.mark.parametrize("folders", [("train",), ("train", "test")])
def test_split_folders_of_loose_pictures_are_refused_with_their_table(
    tmp_path, write_classes, table, advice, folders
):
    write_classes(**dict.fromkeys(folders, 2))
    (tmp_path / table).write_text("")
    with pytest.raises(DataError, match=rf"the classes are unknown.*{advice}"):
        find(tmp_path)


def test_loose_pictures_are_refused_with_the_table_beside_them(tmp_path, write_picture):
    write_picture("a.png")
    (tmp_path / "labels.tsv").write_text("")
    with pytest.raises(DataError, match=r"1 pictures but no class folders.*labels\.tsv may hold"):
        find(tmp_path)


def test_what_lies_in_class_folders_without_pictures_is_told_of_all(tmp_path, write_classes):
    write_classes(cat=1)
    for name in ("ill/1.dcm", "ill/2.DCM", "ill/deep/3.npy", "well/1.jpg?w=300", "well/2.PNG&x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no pictures in class folders ill, none, well") as caught:
        find(tmp_path)
    ill, none, well = str(caught.value).splitlines()[1:]
    assert ill == (
        "  - ill: 2 files ending in .dcm, which kft does not read, "
        "1 file ending in .npy, which kft does not read"
    )
    assert none == "  - none: no files"
    assert "1 file ending in .jpg?…, a name left by a download; rename them to end in .jpg" in well
    assert "1 file ending in .png&…" in well
