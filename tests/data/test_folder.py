from __future__ import annotations

from pathlib import Path

import pytest

from kft.config.schema import DataConfig, FoldersConfig
from kft.data.folder import find_folder
from kft.errors import DataError


def find(path: Path, **folders: str):
    return find_folder(DataConfig(path=str(path), folders=FoldersConfig(**folders)))


def test_class_folders_become_classes_in_the_order_of_their_names(tmp_path, write_classes):
    write_classes(wasp=2, ant=3)
    found = find(tmp_path)
    assert found.class_names == ("ant", "wasp")
    assert found.examples.targets.tolist() == [0, 0, 0, 1, 1]
    assert found.examples.ids[0] == "ant/000.png"
    assert Path(found.examples.paths[0]).is_file()
    assert found.given_splits is None


def test_folders_within_a_class_folder_are_walked(tmp_path, write_classes):
    write_classes(ant__summer__june=1, ant=1, wasp=1)
    assert find(tmp_path).examples.ids == ("ant/000.png", "ant/summer/june/000.png", "wasp/000.png")


def test_links_to_folders_are_followed_and_circles_end(tmp_path, write_classes):
    write_classes(data__ant=1, data__wasp=1, elsewhere=1)
    (tmp_path / "data" / "bee").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "ant" / "again").symlink_to(tmp_path / "data" / "ant")
    assert find(tmp_path / "data").examples.ids == ("ant/000.png", "bee/000.png", "wasp/000.png")


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".png", ".GIF", ".bmp", ".webp"])
def test_endings_are_accepted_in_any_case(tmp_path, write_classes, ending):
    write_classes(ending, ant=1, wasp=1)
    assert len(find(tmp_path).examples) == 2


def test_what_is_not_used_is_counted(tmp_path, write_classes, write_picture):
    write_classes(ant=2, wasp=2)
    write_classes(**{"ant__.ipynb_checkpoints": 1})
    write_picture("__MACOSX/ant/000.png")
    for name in ("ant/.DS_Store", "ant/Thumbs.db", "wasp/notes.txt", "wasp/x.tif", "README"):
        (tmp_path / name).write_text("")
    write_picture("loose.png")
    found = find(tmp_path)
    assert len(found.examples) == 4
    assert dict(found.ignored) == {
        "hidden or system file": 4,
        "ending .txt": 1,
        "ending .tif": 1,
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


def test_pictures_in_a_folder_that_is_no_split_are_counted(tmp_path, write_classes):
    write_classes(train__ant=1, train__wasp=1, unlabelled=3)
    assert find(tmp_path).ignored == {"in folder 'unlabelled', which is no split": 3}


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
    with pytest.raises(DataError, match=r"no pictures in class folder bee. Add pictures"):
        find(tmp_path)


def test_a_class_that_training_lacks_is_refused(tmp_path, write_classes):
    write_classes(train__ant=1, train__wasp=1, val__ant=1, val__wasp=1, val__wsap=1)
    with pytest.raises(DataError, match=r"val: class wsap is not in .*train"):
        find(tmp_path)


def test_a_class_that_validation_lacks_is_refused(tmp_path, write_classes):
    write_classes(train__ant=1, train__wasp=1, val__ant=1)
    with pytest.raises(DataError, match=r"class wasp .* is missing"):
        find(tmp_path)


def test_two_folders_for_one_split_are_ambiguous(tmp_path, write_classes):
    for split in ("train", "val", "valid"):
        write_classes(**{f"{split}__ant": 1, f"{split}__wasp": 1})
    with pytest.raises(DataError, match=r"val, valid may each be the validation split"):
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
