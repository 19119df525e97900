"""The page contains everything that it shows."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from kft.auditing.audit import Audit
from kft.auditing.overview import make_overview
from kft.auditing.page import choose_of_classes, render_page
from kft.auditing.seen_examples import SeenExamples
from kft.config import DataConfig
from kft.findings import Finding, Flagged
from kft.modalities import load_modality
from kft.tasks import find_task

IMAGES = load_modality("image")


@pytest.fixture
def photo(tmp_path) -> str:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (640, 480), (200, 30, 30)).save(path)
    return str(path)


def make_audit(pictures: SeenExamples, *findings: Finding, source: str = "folder photos") -> Audit:
    overview = make_overview(pictures, num_quarantined=0, ignored={})
    return Audit(source, overview, findings, ("Labels: no weights.",), pictures)


def render(audit: Audit) -> str:
    return render_page(audit, DataConfig(), lambda done, total: None).decode()


def test_a_picture_that_went_away_is_said_to_be_gone(make_pictures):
    assert "no longer readable" in render(make_audit(make_pictures(4)))


def test_the_page_needs_no_other_file_and_no_script(make_pictures, photo):
    pictures = make_pictures(4, changes={i: {"path": photo} for i in range(4)})
    page = render(make_audit(pictures, Finding("blank", "warning", "1 picture is blank.")))
    assert page.count('<img src="data:image/jpeg;base64,') == 4
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


class Checker(HTMLParser):
    """Parser that counts elements, and fails if one is closed that was not opened last."""

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
    inspections = (replace(pictures.checked[0], name=nasty), *pictures.checked)
    pictures = SeenExamples(
        IMAGES,
        inspections,
        np.array([0, 0, 1, 0, 1]),
        find_task("class"),
        ("<b>cat</b>", "dog"),
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
    checked = make_pictures(3).checked
    pictures = SeenExamples(IMAGES, checked, numbers, find_task("number"), ("age",))
    assert choose_of_classes(pictures) == [("by age", 3, [1, 2, 0])]
