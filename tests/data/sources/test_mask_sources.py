"""Sources of examples with masks: folders and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kft.config import DataConfig, MasksConfig, SplitConfig, TableConfig
from kft.data import load_splits
from kft.data.loading import find_examples, find_source
from kft.errors import ConfigError, DataError

NAMES = ("sky", "road")


def write(path: Path, *, value: int | None = None, size=(6, 4)) -> None:
    """Write a picture, or a mask that holds a value in its lower half and 0 above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if value is None:
        seed = int.from_bytes(path.name.encode()[:4], "big")
        pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(path)
        return
    mask = np.zeros(size[::-1], np.uint8)
    mask[size[1] // 2 :] = value
    Image.fromarray(mask).save(path)


def write_pairs(root: Path, *names: str, examples="images", masks="masks") -> None:
    for name in names:
        write(root / examples / f"{name}.png")
        write(root / masks / f"{name}.png", value=1)


def configure(path: Path, **settings) -> DataConfig:
    masks = {"class_names": NAMES} | settings.pop("masks", {})
    return DataConfig(path=str(path), masks=MasksConfig(**masks), **settings)


def relative(paths, root: Path) -> list[str]:
    return [str(Path(path).relative_to(root)) for path in paths]


def test_images_beside_masks_are_found_by_their_names(tmp_path):
    write_pairs(tmp_path, "b", "a", "deep/c")
    assert find_source(configure(tmp_path)) == "masks"
    found = find_examples(configure(tmp_path))
    assert found.task.name == "segmentation"
    assert found.class_names == NAMES
    assert found.examples.ids == ("images/a.png", "images/b.png", "images/deep/c.png")
    masks = relative(found.examples.target_files.paths, tmp_path)
    assert masks == ["masks/a.png", "masks/b.png", "masks/deep/c.png"]
    assert found.given_splits is None


@pytest.mark.parametrize(
    ("examples", "masks"),
    [
        ("{}/images", "{}/masks"),
        ("images/{}", "masks/{}"),
        ("{}", "{}annot"),
        ("{}/JPEGImages", "{}/SegmentationClass"),
    ],
)
def test_folders_of_splits_are_read_in_every_usual_order(tmp_path, examples, masks):
    for split in ("train", "val", "test"):
        write_pairs(tmp_path, split, examples=examples.format(split), masks=masks.format(split))
    found = find_examples(configure(tmp_path))
    assert dict(zip(found.examples.ids, found.given_splits, strict=True)) == {
        f"{examples.format(split)}/{split}.png": name
        for split, name in (("train", "train"), ("val", "validation"), ("test", "holdout"))
    }


def test_a_mask_may_be_named_after_its_picture_with_an_ending(tmp_path):
    write(tmp_path / "images" / "a.png")
    write(tmp_path / "masks" / "a_mask.png", value=1)
    write(tmp_path / "images" / "b.png")
    write(tmp_path / "masks" / "b-classes.png", value=1)
    found = find_examples(configure(tmp_path))
    assert found.examples.ids == ("images/a.png",)
    named = find_examples(configure(tmp_path, masks={"ending": "-classes"}))
    assert named.examples.ids == ("images/b.png",)


def test_classes_are_named_by_a_file_or_by_colours(tmp_path):
    write_pairs(tmp_path, "a", "b")
    (tmp_path / "classes.txt").write_text("sky\nroad\n", encoding="utf-8")
    assert find_examples(configure(tmp_path, masks={"class_names": ()})).class_names == NAMES
    colours = {"tree": "#00ff00", "void": "#000000", "sky": "#0000ff"}
    coloured = configure(tmp_path, masks={"class_names": (), "colours": colours})
    assert find_examples(coloured).class_names == ("tree", "sky")


def test_a_table_lists_examples_masks_splits_and_groups(tmp_path):
    write_pairs(tmp_path, "a", "b", "c")
    lines = ["path,mask,part,patient"]
    lines += [
        f"images/{n}.png,masks/{n}.png,{s},{p}"
        for n, s, p in zip("abc", ("train", "test", "train"), "xyx", strict=True)
    ]
    table = tmp_path / "masks.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = configure(
        table,
        target="mask",
        table=TableConfig(split_column="part"),
        split=SplitConfig(group_column="patient"),
    )
    found = find_examples(config)
    assert found.examples.ids == ("images/a.png", "images/b.png", "images/c.png")
    assert relative(found.examples.target_files.paths, tmp_path)[1] == "masks/b.png"
    assert found.given_splits == ("train", "holdout", "train")
    assert found.groups == ("x", "y", "x")


def test_checked_masks_are_counted_and_part_of_the_fingerprint(tmp_path):
    write_pairs(tmp_path, *map(str, range(8)))
    config = configure(tmp_path, masks={"void": 7}, validation=0.25, holdout=0.25)
    splits = load_splits(config, decode=False)
    assert len(splits.train) == 4
    assert splits.train.targets.tolist() == [[12, 12]] * 4
    assert splits.task.format(splits.train.targets[0], NAMES) == "sky=12;road=12"
    again = load_splits(config, decode=False)
    assert again.fingerprint == splits.fingerprint
    # The numbers of pixels stay, and yet it is another mask.
    path = tmp_path / "masks" / "0.png"
    Image.fromarray(np.asarray(Image.open(path))[::-1].copy()).save(path)
    assert load_splits(config, decode=False).fingerprint != splits.fingerprint


def test_one_picture_with_two_different_masks_is_used_with_neither(tmp_path):
    write_pairs(tmp_path, *map(str, range(8)))
    (tmp_path / "images" / "copy.png").write_bytes((tmp_path / "images" / "0.png").read_bytes())
    write(tmp_path / "masks" / "copy.png", value=0)
    splits = load_splits(configure(tmp_path), decode=False)
    left_out = {bad.name for bad in splits.quarantined}
    assert left_out == {"images/0.png", "images/copy.png"}


def spoil(name: str):
    """Make a function that spoils one pair of a folder."""

    def no_mask(root):
        (root / "masks" / "0.png").unlink()

    def two_masks(root):
        write(root / "masks" / "0_mask.png", value=1)

    def other_size(root):
        write(root / "masks" / "0.png", value=1, size=(4, 6))

    def unknown_value(root):
        write(root / "masks" / "0.png", value=2)

    def empty_file(root):
        (root / "masks" / "0.png").write_bytes(b"")

    def text(root):
        (root / "masks" / "0.png").write_text("0 0 1")

    def cut_off(root):
        path = root / "masks" / "0.png"
        path.write_bytes(path.read_bytes()[:40])

    def lossy(root):
        path = root / "masks" / "0.png"
        Image.open(path).save(path, format="JPEG")

    def a_folder(root):
        (root / "masks" / "0.png").unlink()
        (root / "masks" / "0.png").mkdir()

    def a_broken_picture(root):
        (root / "images" / "0.png").write_bytes(b"\x89PNG nothing")

    return locals()[name]


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("no_mask", "no mask of its name"),
        ("two_masks", "several masks"),
        ("other_size", "it has 4 x 6 pixels, the picture 6 x 4"),
        ("unknown_value", "2 in 12 pixels"),
        ("empty_file", "the file is empty"),
        ("text", "is not a picture"),
        ("cut_off", ""),
        ("lossy", "it is a JPEG"),
        ("a_folder", "no mask of its name"),
        ("a_broken_picture", ""),
    ],
)
def test_a_pair_that_cannot_be_used_is_left_out_by_name_or_stops_the_run(tmp_path, problem, words):
    write_pairs(tmp_path, *map(str, range(8)))
    spoil(problem)(tmp_path)
    splits = load_splits(configure(tmp_path), decode=False)
    ((name, reason),) = [(bad.name, bad.reason) for bad in splits.quarantined]
    assert name == "images/0.png"
    assert words in reason
    with pytest.raises(DataError, match=r"1 of 8 pictures cannot be used") as refused:
        load_splits(configure(tmp_path, on_invalid_file="stop"), decode=False)
    assert "images/0.png" in str(refused.value)


def test_masks_without_a_picture_are_counted(tmp_path):
    write_pairs(tmp_path, "a", "b")
    write(tmp_path / "masks" / "alone.png", value=1)
    assert find_examples(configure(tmp_path)).ignored == {"mask in masks without picture": 1}


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ({"class_names": ()}, "the classes of the masks have no names"),
        ({"class_names": ("road",)}, "one class, 'road'; masks need at least two"),
        ({"class_names": ("a", "b", "c"), "binary": True}, "3 classes .*data.masks.binary needs"),
        ({"folder": "labels"}, "Expected FOLDER/images and FOLDER/masks"),
    ],
)
def test_masks_whose_meaning_is_unknown_are_refused(tmp_path, masks, words):
    write_pairs(tmp_path, "a", "b")
    with pytest.raises(DataError, match=words):
        find_examples(configure(tmp_path, target="mask", masks=masks))


@pytest.mark.parametrize(
    ("content", "words"),
    [("sky\nsky\n", "repeats sky"), ("\n", "names 0 classes"), ("sk\xff", "UTF-8")],
)
def test_a_damaged_file_of_classes_is_refused(tmp_path, content, words):
    write_pairs(tmp_path, "a", "b")
    (tmp_path / "classes.txt").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=words):
        find_examples(configure(tmp_path, masks={"class_names": ()}))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"class_names": ("a", "a")}, "'a' is repeated"),
        ({"class_names": tuple(map(str, range(256)))}, "256 classes"),
        ({"colours": {"a": "#000000"}, "binary": True}, "masks are binary"),
        ({"colours": {"a": "#000000", "b": "#000000"}}, "#000000 is given to several"),
        ({"colours": {"a": "black"}}, "should match pattern"),
        ({"colours": {"a": "#000000"}, "class_names": ("b",)}, "name different classes"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, words):
    with pytest.raises((ConfigError, ValueError), match=words):
        MasksConfig(**settings)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("images/a.png,", "column 'mask' is blank"),
        (",masks/a.png", "its path is blank"),
        ("images/a.png,masks/none.png", "its mask masks/none.png: there is no such file"),
        ("images/none.png,masks/a.png", "images/none.png: there is no such file"),
        ("images/b.png,masks/b.png", "listed already"),
        ("images/a.png", "1 values for 2 columns"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_by_its_line(tmp_path, line, words):
    write_pairs(tmp_path, "a", "b", "c")
    table = tmp_path / "masks.csv"
    rows = ["path,mask", "images/b.png,masks/b.png", "images/c.png,masks/c.png", line]
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = find_examples(configure(table, target="mask"))
    assert len(found.examples) == 2
    ((name, reason),) = [(bad.name, bad.reason) for bad in found.quarantined]
    assert name == "masks.csv, line 4"
    assert words in reason


def test_a_table_without_a_column_of_masks_is_refused(tmp_path):
    table = tmp_path / "masks.csv"
    table.write_text("path,label\na.png,b.png\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.masks\.column: .* has no column 'mask'"):
        find_examples(configure(table, target="mask"))


def test_splits_of_some_examples_only_and_none_to_train_are_refused(tmp_path):
    write_pairs(tmp_path, "train/a", "b")
    with pytest.raises(DataError, match="1 of 2 examples are in folders of splits"):
        find_examples(configure(tmp_path))
    write_pairs(tmp_path / "other", "val/a", "val/b")
    with pytest.raises(DataError, match="no folder is for training"):
        find_examples(configure(tmp_path / "other"))


def test_class_folders_are_not_taken_for_masks(tmp_path):
    write(tmp_path / "cat" / "a.png")
    write(tmp_path / "masks" / "a.png")
    assert find_source(configure(tmp_path)) == "folder"
    with pytest.raises(DataError, match="Expected FOLDER/images"):
        find_examples(configure(tmp_path, target="mask"))


def test_a_class_that_no_mask_shows_is_said_and_one_class_is_not_enough(tmp_path):
    write_pairs(tmp_path, *map(str, range(8)))
    names = ("sky", "road", "tree")
    splits = load_splits(configure(tmp_path, masks={"class_names": names}), decode=False)
    assert splits.class_names == names
    assert splits.notes[0] == "no example shows tree, so it cannot be learned."
    for number in range(8):
        write(tmp_path / "masks" / f"{number}.png", value=0)
    with pytest.raises(DataError, match="one class, 'sky'"):
        load_splits(configure(tmp_path), decode=False)
