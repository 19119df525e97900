"""Counts of what there is."""

from __future__ import annotations

import json

import numpy as np

from kft.auditing.overview import make_overview
from kft.auditing.pictures import Pictures
from kft.tasks import find_task


def test_classes_are_counted_by_split(make_pictures):
    splits = ["train"] * 30 + ["holdout"] * 10
    overview = make_overview(make_pictures(splits=splits), num_quarantined=0, ignored={})
    cat, dog, everything = overview.groups
    assert cat.name == "cat" and cat.counts == {"train": 15, "holdout": 5} and cat.total == 20
    assert dog.total == 20
    assert everything.name == "all" and everything.total == 40
    assert overview.imbalance == 1.0


def test_the_sum_adds_up(make_pictures):
    overview = make_overview(
        make_pictures(), num_quarantined=2, ignored={"hidden": 3, "ending .txt": 4}
    )
    assert overview.num_found == 40 + 2 + 7
    assert list(overview.ignored) == ["ending .txt", "hidden"]


def test_sizes_modes_and_shapes_are_counted_upright(make_pictures):
    changes = {
        0: {"mode": "L", "format": "PNG", "noticed": ("ending does not match",)},
        1: {"width": 300, "height": 100, "orientation": 6, "repaired": ("CMYK",)},
    }
    overview = make_overview(make_pictures(changes=changes), num_quarantined=0, ignored={})
    assert overview.modes == {"RGB": 39, "L": 1}
    assert overview.formats == {"JPEG": 39, "PNG": 1}
    assert overview.sizes == {"500 x 375": 39, "100 x 300": 1}
    assert overview.aspect_ratios == {"below 0.4": 1, "1.05 to 1.4": 39}
    assert overview.width.least == 100 and overview.height.greatest == 375
    assert overview.repaired == {"CMYK": 1}
    assert overview.noticed == {"ending does not match": 1}


def test_many_sizes_are_counted_together(make_pictures):
    changes = {i: {"width": 400 + i} for i in range(20)}
    overview = make_overview(make_pictures(changes=changes), num_quarantined=0, ignored={})
    assert list(overview.sizes)[-1] == "13 other sizes"
    assert sum(overview.sizes.values()) == 40


def test_colours_are_means(make_pictures):
    changes = {0: {"mean_rgb": (255.0, 0.0, 0.0), "brightness": 50.0, "contrast": 10.0}}
    pictures = make_pictures(2, changes=changes)
    overview = make_overview(pictures, num_quarantined=0, ignored={})
    assert overview.groups[0].mean_rgb == (255, 0, 0)
    assert overview.groups[0].brightness == 50.0
    assert overview.groups[2].brightness == 80.0


def test_labels_have_a_line_each_and_numbers_one_for_all(make_pictures):
    inspections = make_pictures(4).inspections
    labels = np.array([[0, 1], [1, 1], [0, 0], [0, 1]], np.float32)
    overview = make_overview(
        Pictures(inspections, labels, find_task("labels"), ("red", "round")),
        num_quarantined=0,
        ignored={},
    )
    assert [(group.name, group.total) for group in overview.groups] == [
        ("red", 1),
        ("round", 3),
        ("all", 4),
    ]
    assert overview.imbalance is None
    overview = make_overview(
        Pictures(inspections, labels, find_task("number"), ("a", "b")),
        num_quarantined=0,
        ignored={},
    )
    assert [group.name for group in overview.groups] == ["all"]


def test_nothing_usable_is_an_overview_too(make_pictures):
    overview = make_overview(make_pictures(0), num_quarantined=5, ignored={})
    assert overview.num_found == 5 and overview.width is None
    assert json.loads(json.dumps(overview.describe()))["num_found"] == 5
