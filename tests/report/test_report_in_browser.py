"""A reader opens the report in a browser: tables sort, mistakes open, themes switch."""

from __future__ import annotations

import pytest
from browsing import open_browser, read_report
from made_answers import draw_classes, draw_labels, draw_numbers
from PIL import Image

import kft
from kft.report import write_report
from kft.task_names import TASKS

browser = pytest.fixture(scope="module")(open_browser)


def test_a_report_is_read_on_a_phone(browser, class_run):
    assert "Where does it fail?" in read_report(browser, write_report(class_run), 390)


@pytest.mark.full
@pytest.mark.parametrize(
    ("word", "answers"),
    [("class", draw_classes()), ("labels", draw_labels()), ("number", draw_numbers())],
    ids=["class", "labels", "number"],
)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_report_is_read_in_a_browser(browser, make_run, word, answers, width):
    text = read_report(browser, write_report(make_run(word, answers)), width)
    for heading in ("How good is it?", "Where does it fail?", "Mistakes"):
        assert heading in text


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Pictures of three brightnesses, and a table of their targets for each task."""
    place = tmp_path_factory.mktemp("tables")
    lines = {
        "classification": ["path,label"],
        "multilabel": ["path,bright,dark"],
        "regression": ["path,level,half"],
    }
    for number in range(60):
        level = 40 + 80 * (number % 3)
        Image.new("RGB", (24, 24), (level, level, 80 + number)).save(place / f"{number}.png")
        name = f"{number}.png"
        lines["classification"].append(f"{name},level{number % 3}")
        lines["multilabel"].append(f"{name},{int(level > 100)},{int(level < 100)}")
        lines["regression"].append(f"{name},{level + number % 5},{level / 2}")
    for task, rows in lines.items():
        (place / f"{task}.csv").write_text("\n".join(rows) + "\n")
    return place


@pytest.mark.full
@pytest.mark.parametrize("task", TASKS)
def test_the_report_of_a_real_run_is_read_in_a_browser(browser, tables, task, tmp_path):
    table = tables / f"{task}.csv"
    if not table.is_file():
        pytest.skip(f"there is no made table for the task {task}")
    run = kft.train(
        table,
        backbone={"name": "small_cnn", "weights": "random", "options": {"width": 4}},
        strategy={"name": "full", "duration": 6},
        training={"global_batch_size": 16},
        export={"enabled": False},
        runs_directory=tmp_path / "runs",
    )
    run.explain(mistakes=2)
    run.measure_robustness()
    for width in (390, 1280):
        text = read_report(browser, run.report(), width)
        for heading in ("Why these answers?", "What does it endure?", "What did fine-tuning"):
            assert heading in text
