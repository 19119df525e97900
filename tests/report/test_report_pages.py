"""A report is one file that holds everything, whatever the task and the names."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from made_answers import draw_classes, draw_labels, draw_numbers

from kft.errors import ConfigError, RunError
from kft.report import read_report, render_report, write_report


class Page(HTMLParser):
    """The text of a page and its elements; fails where one is closed that was not opened last."""

    VOID = ("meta", "img", "br", "input", "path")

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content.decode())
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def class_page(class_run) -> bytes:
    return render_report(read_report(class_run))


def test_a_report_needs_no_other_file(class_page):
    page = Page(class_page)
    assert not re.search(rb"(src|href)=\"(?!data:|#)", class_page)
    assert b"@import" not in class_page and b"url(" not in class_page
    (policy,) = (each["content"] for each in page.find("meta") if "http-equiv" in each)
    assert policy.startswith("default-src 'none'")


def test_it_says_what_the_figures_mean(class_page):
    text = " ".join(Page(class_page).text.split())
    assert "photos/first" in text and "120 examples of holdout" in text
    assert "clearly better than always answering the most frequent class" in text
    assert "Fine-tuning helped beyond chance (+0.050 over the layered probe, 95 %" in text
    for heading in ("How good", "How sure", "Where does it fail", "Mistakes", "How was it made"):
        assert heading in text


def test_the_ladder_leads_from_the_baseline_to_the_model(class_run):
    report = read_report(class_run)
    names = [rung.name for rung in report.rungs]
    assert names == ["majority", "layered probe", "this model (fine-tuned)"]
    text = " ".join(Page(render_report(report)).text.split())
    assert "layered probe 2.0 s, 9.0 MB 0.810 0.700 to 0.890" in text
    assert "model +0.050 (+0.010 to +0.090)" in text
    assert "With twice the labels, the error would be about 0.0" in text


def test_it_can_be_read_without_eyes_and_without_a_mouse(class_page):
    page = Page(class_page)
    assert all(image["alt"] for image in page.find("img"))
    assert all(drawing["aria-label"] for drawing in page.find("svg"))
    assert len(page.find("svg")) == 4
    assert next(name for name, _ in page.elements if name in ("h1", "h2")) == "h1"
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {link["href"][1:] for link in page.find("a")} <= ids
    scrolled = [each for each in page.find("div") if each.get("class") == "scroll"]
    assert scrolled and all(each["tabindex"] == "0" and each["aria-label"] for each in scrolled)


@pytest.mark.parametrize(
    ("word", "answers", "expected"),
    [
        ("labels", draw_labels(), ("label accuracy", "Each label", "exact match")),
        ("number", draw_numbers(), ("mean absolute error", "Each number", "R squared")),
    ],
)
def test_every_task_has_a_report(make_run, word, answers, expected):
    text = Page(render_report(read_report(make_run(word, answers)))).text
    for words in expected:
        assert words in text


def test_names_are_text_whatever_they_hold(make_run):
    nasty = "<script>alert('1')</script>\"&"
    page = Page(render_report(read_report(make_run("class", draw_classes(names=(nasty, "{{b}}"))))))
    assert len(page.find("script")) == 1
    assert nasty in page.text and "{{b}}" in page.text


def test_a_mistake_shows_its_example_or_says_that_there_is_none(class_run):
    mistakes = read_report(class_run).failures.mistakes
    assert len(mistakes) > 4 and all(each.is_wrong for each in mistakes)
    losses = [each.loss for each in mistakes]
    assert losses == sorted(losses, reverse=True)
    assert sum(each.source is not None for each in mistakes) <= 4
    assert "no preview" in Page(render_report(read_report(class_run))).text


def test_a_model_without_mistakes_shows_its_least_sure_answers(make_run):
    names, targets, _ = draw_classes()
    outputs = (np.eye(3)[targets] * 0.7 + 0.1).astype(np.float32)
    report = read_report(make_run("class", (names, targets, outputs)))
    assert len(report.failures.mistakes) == 6
    assert "All answers are right" in Page(render_report(report)).text


def test_the_report_is_written_beside_the_evaluation(class_run, tmp_path):
    assert write_report(class_run) == class_run / "evaluation" / "holdout" / "report.html"
    assert write_report(class_run, tmp_path / "r.html").read_bytes().startswith(b"<!doctype html>")


def test_what_cannot_be_reported_is_said(class_run, make_run, tmp_path):
    with pytest.raises(ConfigError, match=r"r\.txt must end in \.html"):
        write_report(class_run, tmp_path / "r.txt")
    with pytest.raises(RunError, match=r"did not judge 'other-x'\. It judged: holdout"):
        read_report(class_run, split="other-x")
    run = make_run("class", draw_classes(30))
    (run / "evaluation" / "holdout" / "predictions.csv").write_text("file,true\n")
    with pytest.raises(RunError, match=r"predictions\.csv: cannot be read"):
        read_report(run)
    (run / "evaluation" / "holdout" / "metrics.json").unlink()
    with pytest.raises(RunError, match="judged neither holdout nor validation"):
        read_report(run)


@pytest.mark.full
def test_a_thousand_classes_fit_into_a_page(make_run):
    names = [f"sku {place:04d}" for place in range(1000)]
    run = make_run("class", draw_classes(50_000, names), num_pictures=0)
    begun = time.process_time()
    page = render_report(read_report(run))
    assert time.process_time() - begun < 60
    assert len(page) < 20_000_000
    assert "of 1,000 with most mistakes" in Page(page).text
