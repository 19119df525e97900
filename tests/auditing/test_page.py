"""The page holds everything that it shows."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from kft.auditing.audit import Audit, Finding, Flagged
from kft.auditing.overview import make_overview
from kft.auditing.page import choose_of_classes, render_page
from kft.auditing.pictures import Pictures
from kft.auditing.thumbnails import SIDE, make_data_uri
from kft.tasks import find_task


def open_uri(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


@pytest.fixture
def photo(tmp_path) -> str:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (640, 480), (200, 30, 30)).save(path)
    return str(path)


def make_audit(pictures: Pictures, *findings: Finding, source: str = "folder photos") -> Audit:
    overview = make_overview(pictures, num_quarantined=0, ignored={})
    return Audit(source, overview, findings, ("Labels: no weights.",), pictures)


def render(audit: Audit) -> str:
    return render_page(audit, background="white", progress=lambda done, total: None).decode()


def test_a_thumbnail_is_small_and_keeps_its_shape(photo):
    small = open_uri(make_data_uri(photo, "white"))
    assert small.size == (SIDE, SIDE * 3 // 4)
    assert small.format == "JPEG"


def test_a_thumbnail_is_upright(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(path, exif=exif)
    assert open_uri(make_data_uri(str(path), "white")).size == (SIDE // 2, SIDE)


@pytest.mark.parametrize(
    ("mode", "value", "grey"),
    [("RGBA", (0, 0, 0, 0), 255), ("I;16", 128 * 256, 128), ("L", 60, 60), ("1", 0, 0)],
)
def test_a_thumbnail_shows_what_training_sees(tmp_path, mode, value, grey):
    path = tmp_path / "odd.png"
    Image.new(mode, (20, 20), value).save(path)
    shown = np.asarray(open_uri(make_data_uri(str(path), "white")))
    assert shown.shape == (20, 20, 3)
    assert abs(shown.mean() - grey) < 2


def test_a_picture_that_went_away_is_said_to_be_gone(make_pictures, tmp_path):
    assert make_data_uri(str(tmp_path / "gone.jpg"), "white") is None
    assert "not readable now" in render(make_audit(make_pictures(4)))


def test_the_page_needs_no_other_file_and_no_script(make_pictures, photo):
    pictures = make_pictures(4, changes={i: {"path": photo} for i in range(4)})
    page = render(make_audit(pictures, Finding("blank", "warning", "1 picture is blank.")))
    assert page.count('<img src="data:image/jpeg;base64,') == 4
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


class Checker(HTMLParser):
    """Counts elements; fails where one is closed that was not opened last."""

    VOID = ("meta", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_names_and_labels_are_text_whatever_they_hold(make_pictures, photo):
    nasty = "<script>alert(1)</script>&\n\"'.jpg"
    pictures = make_pictures(4, changes={i: {"path": photo} for i in range(4)})
    inspections = (replace(pictures.inspections[0], name=nasty), *pictures.inspections)
    pictures = Pictures(
        inspections, np.array([0, 0, 1, 0, 1]), find_task("class"), ("<b>cat</b>", "dog")
    )
    finding = Finding("odd_format", "note", "<i>One</i>.", (Flagged(nasty, "<u>P</u>"),))
    page = render(make_audit(pictures, finding, source="folder <x>"))
    assert "<script>" not in page and "<b>cat" not in page and "<u>" not in page
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    text = "".join(checker.text)
    assert nasty in text and "<b>cat</b>" in text and "Audit of folder <x>" in text


def test_grids_are_capped_and_names_too(make_pictures, photo):
    pictures = make_pictures(600, changes={i: {"path": photo} for i in range(600)})
    files = tuple(Flagged(name) for name in pictures.names)
    page = render(make_audit(pictures, Finding("blurred", "warning", "All.", files)))
    assert page.count("<img") == 24 + 2 * 12
    assert "and 400 more" in page
    assert len(page) < 300_000


def test_a_name_that_is_no_text_does_not_stop_the_page(make_pictures):
    finding = Finding("quarantined", "warning", "One.", (Flagged("b\udcffd.jpg", "unreadable"),))
    assert "b\\udcffd.jpg" in render(make_audit(make_pictures(2), finding))


def test_pictures_of_a_class_are_spread_evenly(make_pictures):
    ((name, total, places), _) = choose_of_classes(make_pictures(100))
    assert (name, total, len(places)) == ("cat", 50, 12)
    assert places[0] == 0 and places[-1] == 98


def test_a_thousand_classes_share_the_page(make_pictures):
    names = tuple(f"class{i}" for i in range(1000))
    pictures = make_pictures(classes=[i % 1000 for i in range(3000)], class_names=names)
    assert sum(len(places) for _, _, places in choose_of_classes(pictures)) <= 480


def test_numbers_are_shown_from_the_least_to_the_greatest(make_pictures):
    numbers = np.array([[3.0], [1.0], [2.0]], np.float32)
    pictures = Pictures(make_pictures(3).inspections, numbers, find_task("number"), ("age",))
    assert choose_of_classes(pictures) == [("by age", 3, [1, 2, 0])]
