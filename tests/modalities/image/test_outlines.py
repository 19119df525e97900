"""Outlines of a COCO file, drawn as masks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from kft.modalities import load_modality
from kft.modalities.annotated import AnnotationError

SQUARE = [2, 1, 5, 1, 5, 3, 2, 3]
CATEGORIES = [{"id": 7, "name": "road"}, {"id": 3, "name": "tree"}]
IMAGE = {"id": 1, "file_name": "a.png", "width": 8, "height": 6}


def annotate(shape, category=7, image=1, **more) -> dict:
    return {"id": 9, "image_id": image, "category_id": category, "segmentation": shape, **more}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a file of these annotations: names, masks by file name, and problems."""
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "cache"))

    def run(*annotations, images=(IMAGE,), categories=CATEGORIES):
        path = tmp_path / "coco.json"
        known = {"images": list(images), "annotations": list(annotations)}
        path.write_text(json.dumps({**known, "categories": categories}), encoding="utf-8")
        names, outlined = load_modality("image").read_outlines(path)
        masks = {
            each.name: np.asarray(Image.open(each.mask))
            for each in outlined
            if each.mask is not None
        }
        return names, masks, {each.name: each.problem for each in outlined if each.problem}

    return run


def test_outlines_are_drawn_in_the_size_of_the_picture_and_the_rest_is_background(read):
    names, masks, problems = read(annotate([SQUARE]))
    assert names == ("background", "road", "tree")
    expected = np.zeros((6, 8), np.uint8)
    expected[1:4, 2:6] = 1
    assert masks["a.png"].tolist() == expected.tolist()
    assert not problems


def test_the_smaller_object_lies_in_front_whatever_the_order(read):
    large = [0, 0, 7, 0, 7, 5, 0, 5]
    for order in ((0, 1), (1, 0)):
        both = (annotate([large]), annotate([SQUARE], category=3))
        _, masks, _ = read(*(both[i] for i in order))
        assert masks["a.png"][0].tolist() == [1] * 8
        assert masks["a.png"][2].tolist() == [1, 1, 2, 2, 2, 2, 1, 1]


# Columns of 6: nothing in the first, two of the second, nothing after.
RUNS = [7, 2, 39]
MASK = np.zeros((6, 8), np.uint8)
MASK[1:3, 1] = 1


@pytest.mark.parametrize("counts", [RUNS, "72W1"], ids=["numbers", "text"])
def test_runs_are_read_column_by_column(read, counts):
    _, masks, problems = read(annotate({"size": [6, 8], "counts": counts}))
    assert not problems
    assert masks["a.png"].tolist() == MASK.tolist()


def test_a_picture_without_objects_is_all_background(read):
    _, masks, _ = read(images=(IMAGE, IMAGE | {"id": 2, "file_name": "b.png"}))
    assert not masks["a.png"].any() and not masks["b.png"].any()


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (annotate([]), "no outline"),
        (annotate(None), "no outline"),
        (annotate([[1, 2, 3, 4]]), "3 or more points"),
        (annotate([[1, 2, 3, 4, 5, 6, 7]]), "3 or more points"),
        (annotate([[1, 2, 3, 4, 5, "6"]]), "3 or more points"),
        (annotate([SQUARE], category=4), "category 4, which is not listed"),
        (annotate({"size": [6, 8], "counts": [7, 2]}), "do not cover the picture of 8 x 6"),
        (annotate({"size": [8, 6], "counts": RUNS}), "do not cover the picture of 8 x 6"),
        (annotate({"size": [6, 8], "counts": "7o"}), "cut off"),
    ],
)
def test_a_picture_whose_outlines_cannot_be_drawn_is_left_out_by_name(read, annotation, words):
    other = IMAGE | {"id": 2, "file_name": "b.png"}
    _, masks, problems = read(annotation, images=(IMAGE, other))
    assert list(masks) == ["b.png"]
    assert words in problems["a.png"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"images": ()}, "there are no images"),
        ({"images": (IMAGE, IMAGE)}, "id is repeated"),
        ({"images": ({"id": 1},)}, "lacks an id and a file_name"),
        ({"categories": []}, "0 categories"),
        ({"categories": [{"id": 1}]}, "lacks an id and a name"),
    ],
)
def test_a_file_of_another_form_is_refused(read, given, words):
    with pytest.raises(AnnotationError, match=words):
        read(**given)


def test_an_annotation_of_an_unlisted_image_is_refused_and_a_size_is_needed(read):
    with pytest.raises(AnnotationError, match="no listed image"):
        read(annotate([SQUARE], image=5))
    _, masks, problems = read(images=({"id": 1, "file_name": "a.png"},))
    assert not masks
    assert "width and height" in problems["a.png"]
