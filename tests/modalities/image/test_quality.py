"""Pictures that show little are found."""

from __future__ import annotations

import pytest
from inspections import inspect

from kft.modalities.image.inspection import Inspection
from kft.modalities.image.quality import find_poor


def make_seen(changes: dict[int, dict[str, object]] | None = None) -> list[Inspection]:
    """Make ordinary photographs, with changes at some indices."""
    changes = changes or {}
    return [inspect(f"{i:04d}.jpg", **changes.get(i, {})) for i in range(40)]


def test_ordinary_pictures_are_no_finding():
    assert find_poor(make_seen()) == ()


@pytest.mark.parametrize(
    ("kind", "bad", "good"),
    [
        ("tiny", {"height": 15}, {"width": 16, "height": 16}),
        ("blank", {"contrast": 1.5}, {"contrast": 5.0}),
        ("dark", {"brightness": 8.0}, {"brightness": 30.0}),
        ("blurred", {"sharpness": 50.0}, {"sharpness": 50.0, "contrast": 30.0}),
    ],
)
def test_each_kind_holds_below_its_threshold_only(kind, bad, good):
    (finding,) = find_poor(make_seen(changes={3: bad}))
    assert (finding.kind, finding.severity) == (kind, "warning")
    assert [file.name for file in finding.files] == ["0003.jpg"]
    assert finding.files[0].note
    assert find_poor(make_seen(changes={3: good})) == ()


def test_a_picture_is_told_of_once():
    black = {"brightness": 0.0, "contrast": 0.0, "sharpness": 0.0}
    assert [finding.kind for finding in find_poor(make_seen(changes={1: black}))] == ["blank"]


DIM = {"brightness": 6.0, "contrast": 2.0, "sharpness": 4.0, "dimming": 1 / 16}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        (DIM, "dimmed"),
        (DIM | {"contrast": 9.0}, "dimmed"),
        (DIM | {"brightness": 0.1, "contrast": 0.1}, "blank"),
        (DIM | {"brightness": 0.5, "contrast": 9.0, "sharpness": 40.0}, "dark"),
        (DIM | {"dimming": 1.0}, "blank"),
    ],
)
def test_nobody_is_told_to_remove_what_the_depth_of_the_data_set_darkened(changes, kind):
    (finding,) = find_poor(make_seen(changes={3: changes}))
    assert finding.kind == kind
    if kind == "dimmed":
        assert "Remove" not in finding.sentence and "data.image.depth" in finding.sentence
        assert finding.files[0].note == "mean 6.0, at its own depth 96.0"
