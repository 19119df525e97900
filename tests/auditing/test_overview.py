"""Counts of a data set."""

from __future__ import annotations

import json

import numpy as np

from kft.auditing.overview import make_overview
from kft.auditing.seen_examples import SeenExamples
from kft.modalities import load_modality
from kft.tasks import find_task

IMAGES = load_modality("image")


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


def test_what_was_converted_or_noticed_is_counted(make_pictures):
    changes = {0: {"noticed": ("ending does not match",)}, 1: {"repaired": ("CMYK",)}}
    overview = make_overview(make_pictures(changes=changes), num_quarantined=0, ignored={})
    assert overview.repaired == {"CMYK": 1}
    assert overview.noticed == {"ending does not match": 1}


def test_what_the_modality_counts_is_part_of_the_description(make_pictures):
    changes = {0: {"mean_rgb": (255.0, 0.0, 0.0), "brightness": 50.0, "contrast": 10.0}}
    overview = make_overview(make_pictures(2, changes=changes), num_quarantined=0, ignored={})
    told = overview.describe()
    assert told["modes"] == {"RGB": 2} and told["width"]["median"] == 500
    assert told["groups"][0]["mean_rgb"] == [255, 0, 0]
    assert [group["brightness"] for group in told["groups"]] == [50.0, 110.0, 80.0]


def test_labels_have_a_line_each_and_numbers_one_for_all(make_pictures):
    inspections = make_pictures(4).checked
    labels = np.array([[0, 1], [1, 1], [0, 0], [0, 1]], np.float32)
    overview = make_overview(
        SeenExamples(IMAGES, inspections, labels, find_task("labels"), ("red", "round")),
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
        SeenExamples(IMAGES, inspections, labels, find_task("number"), ("a", "b")),
        num_quarantined=0,
        ignored={},
    )
    assert [group.name for group in overview.groups] == ["all"]


def test_nothing_usable_is_an_overview_too(make_pictures):
    overview = make_overview(make_pictures(0), num_quarantined=5, ignored={})
    assert overview.num_found == 5 and overview.facts == ()
    assert json.loads(json.dumps(overview.describe()))["num_found"] == 5
