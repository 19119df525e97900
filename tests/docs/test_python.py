"""The examples of the Python pages run, and the notebook shows the real outputs."""

import re
from pathlib import Path

import nbformat
import pytest
from docs.notebooks import TOUR, execute

import kft

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"


def blocks_of(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def tour():
    notebook = nbformat.read(TOUR, as_version=4)
    nbformat.validate(notebook)
    return notebook


def outputs_of(notebook) -> list:
    return [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]


def test_the_page_names_every_call():
    calls = {name for name in kft.__all__ if name[0].islower()}
    assert set(re.findall(r"`kft\.(\w+)\(", PAGE.read_text(encoding="utf-8"))) >= calls


@pytest.mark.parametrize("code", [*blocks_of(PAGE), *blocks_of(ROOT / "README.md")])
def test_an_example_uses_what_there_is(code):
    compile(code, PAGE.name, "exec")
    assert set(re.findall(r"\bkft\.(\w+)", code)) <= set(kft.__all__)


def test_the_notebook_uses_what_there_is(tour):
    code = [cell.source for cell in tour.cells if cell.cell_type == "code"]
    for source in code:
        compile(source, TOUR.name, "exec")
    named = set(re.findall(r"\bkft\.(\w+)", "\n".join(code)))
    assert {"train", "pretrain", "check", "audit", "load"} <= named <= {*kft.__all__, "demos"}


def test_the_notebook_is_stored_as_a_reader_would_see_it(tour):
    outputs = outputs_of(tour)
    assert all(out.output_type != "error" and out.get("name") != "stderr" for out in outputs)
    shown = "\n".join(str(out.get("data", out.get("text"))) for out in outputs)
    assert shown.count("data:image/jpeg;base64,") == 16
    assert shown.count("<svg") == 2
    assert "image/png" in shown
    assert set(re.findall(r"folder (/\w+/\w+)/", shown)) == {"/home/you"}
    assert TOUR.stat().st_size < 100_000


@pytest.mark.full
def test_the_notebook_runs_from_its_first_cell_to_its_last(tour, tmp_path):
    ran = execute(TOUR, tmp_path)
    kinds = [
        [(out.output_type, out.get("name")) for out in outputs_of(each)] for each in (ran, tour)
    ]
    assert kinds[0] == kinds[1]
    # Each call has one live line.
    lines = [out for out in outputs_of(ran) if out.output_type == "display_data"]
    calls = [
        cell for cell in ran.cells if re.search(r"kft\.(train|pretrain|check|audit)\(", cell.source)
    ]
    assert len(lines) == len(calls) == 4


@pytest.mark.full
def test_the_examples_of_the_page_run_one_after_the_other(place_of_the_tour):
    names: dict[str, object] = {}
    for code in blocks_of(PAGE):
        exec(compile(code, PAGE.name, "exec"), names)
    assert names["run"].metrics["accuracy"] > 0.85
