from __future__ import annotations

import os
from pathlib import Path

import pytest

from kft.config import DataConfig, FoldersConfig
from kft.data.sources.folder import find_folder
from kft.errors import DataError


def find(path: Path, **folders):
    return find_folder(DataConfig(path=str(path), folders=FoldersConfig(**folders)))


def test_class_folders_become_classes_in_the_order_of_their_names(tmp_path, write_classes):
    write_classes(wasp=2, ant=3)
    found = find(tmp_path)
    assert found.class_names == ("ant", "wasp")
    assert found.examples.targets.tolist() == [0, 0, 0, 1, 1]
    assert found.examples.ids[0] == "ant/000.png"
    assert Path(found.examples.inputs.paths[0]).is_file()
    assert found.given_splits is None
    assert found.quarantined == ()


def test_folders_within_a_class_folder_are_walked(tmp_path, write_classes):
    write_classes(ant__summer__june=1, ant=1, wasp=1)
    assert find(tmp_path).examples.ids == ("ant/000.png", "ant/summer/june/000.png", "wasp/000.png")


def test_links_to_folders_are_followed_and_circles_end(tmp_path, write_classes):
    write_classes(data__ant=1, data__wasp=1, elsewhere=1)
    (tmp_path / "data" / "bee").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "ant" / "again").symlink_to(tmp_path / "data" / "ant")
    found = find(tmp_path / "data", allowed_roots=(str(tmp_path / "elsewhere"),))
    assert found.examples.ids == ("ant/000.png", "bee/000.png", "wasp/000.png")
    with pytest.raises(
        DataError, match=r"class folder bee(.|\n)*- bee: leads by a link to .*outside"
    ):
        find(tmp_path / "data")


def test_a_split_folder_may_not_lead_out_of_the_data_folder(tmp_path, write_classes):
    write_classes(data__train__ant=1, data__train__wasp=1, other__ant=1, other__wasp=1)
    (tmp_path / "data" / "val").symlink_to(tmp_path / "other")
    with pytest.raises(
        DataError, match=r"data/val: leads by a link to .*data\.folders\.allowed_roots"
    ):
        find(tmp_path / "data")
    assert len(find(tmp_path / "data", allowed_roots=(str(tmp_path / "other"),)).examples) == 4


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".png", ".GIF", ".bmp", ".webp"])
def test_endings_are_accepted_in_any_case(tmp_path, write_classes, ending):
    write_classes(ending, ant=1, wasp=1)
    assert len(find(tmp_path).examples) == 2


def test_what_is_not_used_is_counted(tmp_path, write_classes, write_picture):
    write_classes(ant=2, wasp=2)
    write_classes(**{"ant__.ipynb_checkpoints": 1})
    write_picture("__MACOSX/ant/000.png")
    for name in ("ant/.DS_Store", "ant/Thumbs.db", "wasp/notes.txt", "wasp/x.xcf", "README"):
        (tmp_path / name).write_text("")
    write_picture("loose.png")
    found = find(tmp_path)
    assert len(found.examples) == 4
    assert dict(found.ignored) == {
        ".DS_Store": 1,
        ".ipynb_checkpoints": 1,
        "Thumbs.db": 1,
        "__MACOSX": 1,
        "ending .txt": 1,
        "ending .xcf": 1,
        "ending (none)": 1,
        "picture beside the class folders": 1,
    }


@pytest.mark.parametrize(
    ("validation", "holdout"), [("val", "test"), ("valid", "testing"), ("Dev", "Holdout")]
)
def test_usual_split_folders_are_recognised(tmp_path, write_classes, validation, holdout):
    for split in ("Train", validation, holdout):
        write_classes(**{f"{split}__ant": 1, f"{split}__wasp": 1})
    found = find(tmp_path)
    assert found.given_splits == (
        "train",
        "train",
        "validation",
        "validation",
        "holdout",
        "holdout",
    )
    assert found.examples.ids[0] == "Train/ant/000.png"


def test_a_folder_named_as_holdout_is_not_also_validation(tmp_path, write_classes):
    write_classes(train__ant=1, train__wasp=1, val__ant=1, val__wasp=1)
    found = find(tmp_path, holdout="val")
    assert set(found.given_splits) == {"train", "holdout"}


def test_what_lies_beside_the_splits_is_counted(tmp_path, write_classes, write_picture):
    write_classes(train__ant=1, train__wasp=1, unlabelled=3)
    write_picture("loose.png")
    for name in ("README.md", ".DS_Store", "train/notes.txt", "unlabelled/.DS_Store"):
        (tmp_path / name).write_text("")
    assert find(tmp_path).ignored == {
        "in folder 'unlabelled', which is not a split": 4,
        "picture beside the split folders": 1,
        "ending .md": 1,
        "ending .txt": 1,
        ".DS_Store": 1,
    }


def test_a_class_may_be_called_train(tmp_path, write_classes):
    write_classes(train=2, bus=2)
    assert find(tmp_path).class_names == ("bus", "train")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no folder .*nowhere.*<class>"):
        find(tmp_path / "nowhere")


def test_pictures_without_class_folders_are_refused(tmp_path, write_picture):
    write_picture("a.png")
    with pytest.raises(
        DataError, match=r"1 pictures but no class folders. Expected FOLDER/<class>"
    ):
        find(tmp_path)


def test_one_class_is_refused(tmp_path, write_classes):
    write_classes(ant=3)
    with pytest.raises(DataError, match=r"one class folder, 'ant'"):
        find(tmp_path)


def test_an_empty_class_is_named(tmp_path, write_classes):
    write_classes(ant=3, wasp=2)
    (tmp_path / "bee").mkdir()
    with pytest.raises(DataError, match=r"in class folder bee.*\.jpg(.|\n)*- bee: no files"):
        find(tmp_path)


def test_a_class_that_holds_only_what_cannot_be_used_is_named_with_the_reasons(
    tmp_path, write_classes
):
    write_classes(ant=3, wasp=2)
    (tmp_path / "bee").mkdir()
    (tmp_path / "bee" / "gone.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match=r"class folder bee(.|\n)*bee/gone.jpg: a link that leads"):
        find(tmp_path)


def test_a_class_whose_name_is_not_utf_8_is_refused(tmp_path, write_classes):
    write_classes(ant=1, wasp=1)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).mkdir()
    with pytest.raises(DataError, match=r"class folder caf\\xe9 is not UTF-8.*Rename"):
        find(tmp_path)


def test_a_class_that_training_lacks_is_refused(tmp_path, write_classes):
    write_classes(train__ant=1, train__wasp=1, val__ant=1, val__wasp=1, val__wsap=1)
    with pytest.raises(DataError, match=r"val: class wsap is not in .*train"):
        find(tmp_path)


def test_a_class_that_validation_lacks_is_learned(tmp_path, write_classes):
    write_classes(train__ant=1, train__wasp=1, val__ant=1)
    found = find(tmp_path)
    assert found.class_names == ("ant", "wasp")
    assert list(zip(found.given_splits, found.examples.targets, strict=True)) == [
        ("train", 0),
        ("train", 1),
        ("validation", 0),
    ]


def test_two_folders_for_one_split_are_ambiguous(tmp_path, write_classes):
    for split in ("train", "val", "valid"):
        write_classes(**{f"{split}__ant": 1, f"{split}__wasp": 1})
    with pytest.raises(DataError, match=r"each of val, valid may be the validation split"):
        find(tmp_path)


def test_a_misspelt_split_folder_is_suggested(tmp_path, write_classes):
    write_classes(images_train__ant=1, images_train__wasp=1)
    with pytest.raises(DataError, match=r"data.folders.train: .*Did you mean 'images_train'"):
        find(tmp_path, train="image_train")


def test_one_folder_for_two_splits_is_refused(tmp_path, write_classes):
    write_classes(train__ant=1, train__wasp=1, val__ant=1, val__wasp=1)
    with pytest.raises(DataError, match=r"'val' is given for validation and holdout"):
        find(tmp_path, validation="val", holdout="val")


def test_splits_without_training_are_refused(tmp_path, write_classes):
    write_classes(val__ant=1, val__wasp=1, test__ant=1, test__wasp=1)
    with pytest.raises(DataError, match=r"none for training"):
        find(tmp_path)
