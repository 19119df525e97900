"""A reader in a browser: sorts a table, opens a mistake, switches the theme."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def open_browser() -> Iterator[Any]:
    """Open Debian's Chromium through playwright; skip where there is none."""
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


def read_report(browser: Any, path: Path, width: int) -> str:
    """Read a report as a person would; return its text.

    Raises:
        AssertionError: Something does not work, the console has a message, or anything is
            requested from a network.
    """
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
        "cells => cells.filter(cell => cell.dataset.value).map(cell => Number(cell.dataset.value))"
    )
    assert values == sorted(values) and values
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
    text: str = page.locator("main").inner_text()
    context.close()
    return text
