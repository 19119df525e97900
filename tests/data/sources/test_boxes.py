"""Boxes in the layouts of Pascal VOC, COCO and YOLO, and in tables."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from boxed import coco_document, voc_xml, write_coco, write_picture, write_voc, write_yolo

from kft.config import BoxesConfig, DataConfig
from kft.data.loading import find_examples, find_source
from kft.errors import DataError
from kft.examples import Splits
from kft.modalities.annotated import AnnotationError
from kft.modalities.image.annotations import json_arrays
from kft.modalities.image.annotations.coco import read_coco
from kft.modalities.image.annotations.coco_writing import write_coco as write_splits


def find(path: Path, **settings):
    boxes = BoxesConfig(**settings.pop("boxes", {}))
    return find_examples(DataConfig(path=str(path), boxes=boxes, **settings))


CAT, DOG = ("cat", 10, 5, 30, 15), ("dog", 0, 0, 40, 20)
# Class, then sides in fractions of 40 x 20.
CAT_TARGET, DOG_TARGET = [0, 0.25, 0.25, 0.75, 0.75], [1, 0, 0, 1, 1]
GONE = [-1] * 5


def table_text(rows) -> str:
    return "path,class,x1,y1,x2,y2\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.fixture
def layouts(tmp_path):
    """Write the same boxes in each layout: a has a cat and a dog, b a dog."""
    write_voc(tmp_path / "voc", {"a": voc_xml([CAT, DOG]), "b": voc_xml([DOG])})
    boxes = [(1, 1, 10, 5, 20, 10), (1, 2, 0, 0, 40, 20), (2, 2, 0, 0, 40, 20)]
    coco = write_coco(tmp_path / "coco", coco_document(boxes))
    lines = {"a": "0 0.5 0.5 0.5 0.5\n1 0.5 0.5 1 1\n", "b": "1 0.5 0.5 1 1\n"}
    write_yolo(tmp_path / "yolo", lines)
    table = tmp_path / "table" / "boxes.csv"
    for name in "ab":
        write_picture(table.parent / f"{name}.jpg")
    rows = [("a.jpg", *CAT), ("b.jpg", *DOG), ("a.jpg", *DOG)]
    table.write_text(table_text(rows))
    return {"voc": tmp_path / "voc", "coco": coco, "yolo": tmp_path / "yolo", "box_table": table}


@pytest.mark.parametrize("layout", ["voc", "coco", "yolo", "box_table"])
def test_every_layout_gives_the_same_boxes(layouts, layout):
    target = {"target": "boxes"} if layout == "box_table" else {}
    config = DataConfig(path=str(layouts[layout]), **target)
    assert find_source(config) == layout
    found = find_examples(config)
    assert found.task.name == "detection"
    assert found.class_names == ("cat", "dog")
    assert [Path(name).name for name in found.examples.ids] == ["a.jpg", "b.jpg"]
    expected = np.array([[CAT_TARGET, DOG_TARGET], [DOG_TARGET, GONE]], np.float32)
    assert found.examples.targets.dtype == np.float32
    assert found.examples.targets == pytest.approx(expected, abs=1e-6)
    assert not found.quarantined and not found.noticed


# What is wrong with the only boxes of picture a -> the reason for which a is left out.
BAD_VOC = {
    "a side that is no number": (voc_xml([("cat", 1, 2, "x", 4)]), "xmax x"),
    "a missing side": (voc_xml([("cat", 1, 2, "", 4)]), "xmax missing"),
    "a side that is not finite": (voc_xml([("cat", 1, 2, "nan", 4)]), "sides 1, 2, nan, 4"),
    "an object without a name": (voc_xml([("", 1, 2, 3, 4)]), "object 1 has no name"),
    "sides in another order": (voc_xml([("cat", 30, 5, 10, 15)]), "ends before it begins"),
    "a box outside": (voc_xml([("cat", 50, 5, 60, 15)]), "lies outside: 50, 5, 60, 15"),
    "a size of another picture": (voc_xml([CAT], size=(80, 40)), r"80 x 40, but it is 40 x 20"),
    "a size that is no number": (voc_xml([CAT], size=("w", 20)), "its size is w x 20"),
    "XML that is cut off": ("<annotation><object>", "no element found"),
    "another root": ("<html></html>", "its root is <html>"),
    "entities": ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>", "declares a document type"),
}


@pytest.mark.parametrize("kind", sorted(BAD_VOC))
def test_a_picture_with_bad_voc_boxes_is_left_out_by_name(tmp_path, kind):
    xml, reason = BAD_VOC[kind]
    found = find(write_voc(tmp_path, {"a": xml, "b": voc_xml([CAT])}))
    assert found.examples.ids == ("JPEGImages/b.jpg",)
    (bad,) = found.quarantined
    assert "a.jpg" in bad.name
    assert reason in bad.reason.replace("'", "")
    with pytest.raises(DataError, match="1 of 2 pictures cannot be used"):
        find(tmp_path, on_invalid_file="stop")


BAD_COCO = {
    "an unknown category": ([(1, 9, 0, 0, 4, 4)], "category 9, which the file does not list"),
    "a bbox of three numbers": ([(1, 1, 0, 0, 4)], "has bbox [0, 0, 4]"),
    "a bbox of text": ([(1, 1, "a", 0, 4, 4)], 'has bbox ["a"'),
    "a negative width": ([(1, 1, 9, 0, -4, 4)], "ends before it begins"),
}


@pytest.mark.parametrize("kind", sorted(BAD_COCO))
def test_a_picture_with_bad_coco_boxes_is_left_out_by_name(tmp_path, kind):
    boxes, reason = BAD_COCO[kind]
    found = find(write_coco(tmp_path, coco_document([*boxes, (2, 1, 0, 0, 4, 4)])))
    assert found.examples.ids == ("b.jpg",)
    assert reason in found.quarantined[0].reason


BROKEN_COCO = {
    "an annotation of an unknown picture": (
        lambda made: made["annotations"][0].update(image_id=7),
        "of image 7, which the file does not list",
    ),
    "a picture without a name": (lambda made: made["images"][0].pop("file_name"), "lacks an id"),
    "a repeated picture": (lambda made: made["images"][1].update(id=1), "its id is repeated"),
    "a repeated category": (
        lambda made: made["categories"][1].update(name="cat"),
        "lacks an id and a name, or repeats one",
    ),
    "no categories": (lambda made: made.update(categories=[]), "there are no categories"),
    "no pictures": (lambda made: made.update(images=[]), "there are no images"),
    "an object for an array": (lambda made: made.update(images={}), "'images' is not an array"),
}


@pytest.mark.parametrize("kind", sorted(BROKEN_COCO))
def test_a_coco_file_that_contradicts_itself_is_refused(tmp_path, kind):
    change, message = BROKEN_COCO[kind]
    file = write_coco(tmp_path, coco_document([(1, 1, 0, 0, 4, 4), (2, 2, 0, 0, 4, 4)]))
    made = json.loads(file.read_text())
    change(made)
    file.write_text(json.dumps(made))
    with pytest.raises(DataError, match=message):
        find(file)


BAD_YOLO = {
    "a class that has no name": ("2 0.5 0.5 0.1 0.1", "class 2, but `names` has 2"),
    "an outline": ("0 0.1 0.1 0.2 0.2 0.3 0.3", "has 7 values"),
    "pixels": ("0 20 10 4 4", "values above 1"),
    "words": ("cat 0.5 0.5 0.1 0.1", "expected a whole number and four fractions"),
}


@pytest.mark.parametrize("kind", sorted(BAD_YOLO))
def test_a_picture_with_bad_yolo_boxes_is_left_out_by_name(tmp_path, kind):
    line, reason = BAD_YOLO[kind]
    found = find(write_yolo(tmp_path, {"a": line, "b": "0 0.5 0.5 0.1 0.1"}))
    assert found.examples.ids == ("images/train/b.jpg",)
    assert reason in found.quarantined[0].reason


BAD_ROWS = {
    "a blank class": (("a.jpg", "", 1, 2, 3, 4), "column 'class' is blank"),
    "a side that is no number": (("a.jpg", "cat", 1, 2, "x", 4), "expected four numbers"),
    "a missing value": (("a.jpg", "cat", 1, 2, 3), "5 values for 6 columns"),
    "a missing file": (("c.jpg", *CAT), "there is no such file"),
}


@pytest.mark.parametrize("kind", sorted(BAD_ROWS))
def test_a_picture_with_a_bad_row_is_left_out_by_name(tmp_path, kind):
    row, reason = BAD_ROWS[kind]
    for name in "ab":
        write_picture(tmp_path / f"{name}.jpg")
    (tmp_path / "boxes.csv").write_text(table_text([row, ("b.jpg", *CAT)]))
    found = find(tmp_path / "boxes.csv", target="boxes")
    assert found.examples.ids == ("b.jpg",)
    assert reason in found.quarantined[0].reason


def test_boxes_that_cannot_be_learned_are_left_out_and_said(tmp_path):
    boxes = [CAT, CAT, ("dog", 5, 5, 5, 9), ("dog", 30, 10, 60, 30)]
    found = find(write_voc(tmp_path, {"a": voc_xml(boxes), "b": voc_xml([])}))
    dog = [1, 0.75, 0.5, 1, 1]
    expected = np.array([[CAT_TARGET, dog], [GONE, GONE]])
    assert found.examples.targets == pytest.approx(expected)
    assert found.noticed == {
        "with a box of zero area, which is left out": 1,
        "with a box beyond the edge, which is cut there": 1,
        "with a repeated box, which is used once": 1,
        "without boxes, used as negatives": 1,
    }
    flagged = {each.kind: [(f.name, f.note) for f in each.files] for each in found.findings}
    assert flagged["zero_area_boxes"] == [("JPEGImages/a.jpg", "box 3 (dog)")]
    assert flagged["without_boxes"] == [("JPEGImages/b.jpg", "")]


def test_boxes_that_count_from_one_are_not_said_to_leave_the_picture(tmp_path):
    found = find(write_voc(tmp_path, {"a": voc_xml([("cat", 1, 1, 41, 21)])}))
    assert not found.noticed


def test_splits_are_those_of_the_lists(tmp_path):
    names = {name: voc_xml([CAT]) for name in "abcd"}
    lists = {"train": ["a"], "val": ["b"], "trainval": ["a", "b"], "test": ["c", "e"]}
    found = find(write_voc(tmp_path, names, lists | {"cat_train": ["a -1"]}))
    splits = dict(zip(found.examples.ids, found.given_splits, strict=True))
    assert splits == {
        "JPEGImages/a.jpg": "train",
        "JPEGImages/b.jpg": "validation",
        "JPEGImages/c.jpg": "holdout",
    }
    assert found.ignored == {"in no list of a split": 1}
    assert "listed in ImageSets/Main/test.txt, but there is no" in found.quarantined[0].reason


def test_a_picture_in_two_lists_is_refused(tmp_path):
    lists = {"train": ["a"], "test": ["a"]}
    with pytest.raises(DataError, match="two splits share a picture"):
        find(write_voc(tmp_path, {"a": voc_xml([CAT])}, lists))


def test_a_folder_has_a_coco_file_for_each_split(tmp_path):
    for word, name in (("train", "a.jpg"), ("val", "b.jpg")):
        write_picture(tmp_path / f"{word}2017" / name)
        made = coco_document([(1, 1, 0, 0, 4, 4)], names=(name,))
        (tmp_path / "annotations").mkdir(exist_ok=True)
        (tmp_path / "annotations" / f"instances_{word}2017.json").write_text(json.dumps(made))
    found = find(tmp_path)
    assert found.examples.ids == ("train2017/a.jpg", "val2017/b.jpg")
    assert found.given_splits == ("train", "validation")
    assert found.class_names == ("cat",)
    assert "stated classes without a box are left out: dog." in found.notes


def test_splits_that_are_written_as_coco_are_read_again(layouts, tmp_path):
    given = find(layouts["voc"])
    none = given.examples.take([])
    splits = Splits(given.examples, none, none, given.task, given.class_names, "", "")
    (file,) = write_splits(splits, tmp_path / "written")
    assert file.name == "train.json"
    boxes = {"folder": str(layouts["voc"])}
    found = find(tmp_path / "written", boxes=boxes)
    assert found.examples.ids == splits.train.ids
    assert found.examples.targets == pytest.approx(splits.train.targets, abs=1e-4)


def test_crowds_are_left_out_and_said(tmp_path):
    made = coco_document([(1, 1, 0, 0, 4, 4), (1, 2, 0, 0, 9, 9)], names=("a.jpg",))
    made["annotations"][1]["iscrowd"] = 1
    found = find(write_coco(tmp_path, made))
    assert found.class_names == ("cat",)
    assert "1 boxes of boxes.json around crowds" in found.notes[0]


def test_boxes_are_those_of_the_upright_picture(tmp_path):
    write_voc(
        tmp_path, {"a": voc_xml([CAT]), "b": voc_xml([("cat", 5, 10, 15, 30)], size=(20, 40))}
    )
    for name in "ab":
        write_picture(tmp_path / "JPEGImages" / f"{name}.jpg", orientation=6)
    found = find(tmp_path)
    assert found.examples.ids == ("JPEGImages/b.jpg",)
    assert found.examples.targets[0] == pytest.approx(np.array([CAT_TARGET]))
    assert "was annotated as it is stored" in found.quarantined[0].reason


def test_a_picture_that_is_annotated_twice_is_left_out(tmp_path):
    boxes = [(1, 1, 0, 0, 4, 4), (2, 1, 0, 0, 4, 4)]
    made = coco_document(boxes, names=("a.jpg", "b.jpg", "a.jpg"))
    found = find(write_coco(tmp_path, made))
    assert found.examples.ids == ("b.jpg",)
    assert sorted(bad.reason for bad in found.quarantined) == [
        "annotated again elsewhere",
        "annotated in boxes.json, image 1 too",
    ]


def test_files_outside_of_the_data_folder_are_not_read(tmp_path):
    write_picture(tmp_path / "b.jpg")
    boxes = [(1, 1, 0, 0, 4, 4), (2, 1, 0, 0, 4, 4)]
    made = coco_document(boxes, names=("a.jpg", "../b.jpg"))
    file = write_coco(tmp_path / "data", made)
    assert "data.boxes.allowed_roots" in find(file).quarantined[0].reason
    assert len(find(file, boxes={"allowed_roots": (str(tmp_path),)}).examples) == 2


def test_another_target_is_refused(layouts):
    with pytest.raises(DataError, match="holds boxes around objects"):
        find(layouts["voc"], target="class")


def test_an_unknown_folder_is_refused_with_the_layouts_that_are_known(tmp_path, write_classes):
    write_classes(ant=1, wasp=1)
    with pytest.raises(DataError, match=r"data\.boxes\.folder: .* is not a folder"):
        write_voc(tmp_path / "voc", {"a": voc_xml([CAT])})
        find(tmp_path / "voc", boxes={"folder": "nowhere"})
    with pytest.raises(DataError, match=r"there is no Annotations/\*.xml"):
        find(tmp_path, source="voc")


BAD_YAML = {
    "names that repeat": ("train: images/train\nnames: [cat, cat]\n", "list of distinct names"),
    "a gap in the names": ("train: images/train\nnames: {0: cat, 2: dog}\n", "mapping from"),
    "no splits": ("names: [cat]\n", "names no folder for train"),
    "a folder that is missing": ("train: nowhere\nnames: [cat]\n", "neither a folder nor a list"),
    "a shared picture": (
        "train: images/train\nval: images/train\nnames: [cat]\n",
        "two splits share a picture",
    ),
}


@pytest.mark.parametrize("kind", sorted(BAD_YAML))
def test_a_yaml_file_that_is_incomplete_is_refused(tmp_path, kind):
    text, message = BAD_YAML[kind]
    with pytest.raises(DataError, match=message):
        find(write_yolo(tmp_path, {"a": "0 0.5 0.5 0.1 0.1"}, text), source="yolo")


def test_json_arrays_are_read_across_the_pieces_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(json_arrays, "_PIECE", 7)
    file = tmp_path / "a.json"
    wanted = [{"id": 1, "text": 'a "quoted" é \n'}, {"id": 23456789, "deep": [[1], {"b": []}]}]
    document = {"x": 1234567, "skipped": [1, 22, 333], "wanted": wanted, "y": None, "none": []}
    for indent in (None, 2):
        file.write_text(json.dumps(document, indent=indent), encoding="utf-8")
        found = list(json_arrays.read_arrays(file, {"wanted", "none"}))
        assert found == [("wanted", each) for each in wanted]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": [1, 2', '{"a": [1 2]}', '{"a": 1} x', '{"a": 1, "a": 2}', '{"a" 1}']
)
def test_what_is_not_one_json_object_is_refused_with_its_place(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(AnnotationError, match=r"a\.json, character \d+: .* Expected a JSON object"):
        list(json_arrays.read_arrays(file, {"a"}))


@pytest.mark.full
def test_a_coco_file_of_5000_pictures_is_read_in_bounded_memory(tmp_path):
    outline = [[round(0.1 * number, 1) for number in range(300)]]
    file = tmp_path / "boxes.json"
    with file.open("w") as written:
        written.write('{"images": [')
        written.write(
            ",".join(f'{{"id": {i}, "file_name": "{i:012d}.jpg"}}' for i in range(1, 5001))
        )
        written.write('], "annotations": [')
        for number in range(5_000):
            separator = "," if number else ""
            stated = {"id": number, "image_id": 1 + number % 5000, "category_id": 1}
            stated |= {"bbox": [1, 2, 3, 4], "segmentation": outline}
            written.write(separator + json.dumps(stated))
        written.write('], "categories": [{"id": 1, "name": "cat"}]}')
    assert file.stat().st_size > 8_000_000
    tracemalloc.start()
    try:
        number = sum(len(each.boxes) for each in read_coco(file, tmp_path).read())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number == 5_000
    assert peak < 7_000_000
