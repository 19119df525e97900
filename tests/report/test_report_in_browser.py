"""A reader opens the report in a browser: tables sort, mistakes open, themes switch."""

from __future__ import annotations

import shutil

import pytest
from made_answers import draw_classes, draw_labels, draw_numbers

from kft.report import write_report

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize(
    ("word", "answers"),
    [("class", draw_classes()), ("labels", draw_labels()), ("number", draw_numbers())],
    ids=["class", "labels", "number"],
)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_report_is_read_in_a_browser(browser, make_run, word, answers, width):
    path = write_report(make_run(word, answers))
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme="light")
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request",
        lambda asked: asked.url.startswith(("file:", "data:")) or problems.append(asked.url),
    )
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    head = page.locator("#names thead th").last
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    values = page.locator("#names tbody td:last-child").evaluate_all(
        "cells => cells.map(cell => Number(cell.dataset.value))"
    )
    assert values == sorted(values) and len(values) > 1
    page.locator(".mistakes button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.locator(".theme").click()
    assert page.evaluate(colour) != light
    assert problems == []
    context.close()
