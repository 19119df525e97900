"""`kft audit` reports the problems of a folder as text, JSON and a page."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from kft.cli.main import main
from kft.printing import printable

SMALL = ("backbone.name=small_cnn", "backbone.weights=random", "backbone.input_size=32")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(tmp_path, monkeypatch, make_picture_folder):
    monkeypatch.chdir(tmp_path)
    return make_picture_folder(tmp_path / "photos", per_class=30)


def run(*arguments: str):
    return CliRunner().invoke(main, ["audit", *arguments])


def find(result) -> dict[str, dict]:
    assert result.exit_code == 0, result.output
    return {finding["kind"]: finding for finding in json.loads(result.stdout)["findings"]}


def names_of(finding: dict) -> list[str]:
    return [file["name"] for file in finding["files"]]


def test_the_overview_counts_files_and_classes(photos):
    (photos / "cat" / "notes.txt").write_text("not a picture")
    result = run("photos", "--no-labels")
    assert result.exit_code == 0, result.output
    assert "91 found = 90 used + 0 quarantined + 1 ignored" in result.stdout
    lines = [line.split()[:4] for line in result.stdout.splitlines()]
    assert ["cat", "18", "6", "6"] in lines
    assert "Not checked. Labels: skipped because of --no-labels." in result.stdout


def test_bad_files_duplicates_and_outliers_are_named(photos):
    (photos / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    shutil.copy(photos / "cat/000.png", photos / "cat/copy.png")
    shutil.copy(photos / "owl/001.png", photos / "dog/owl.png")
    Image.new("RGB", (40, 40), (90, 90, 90)).save(photos / "dog/blank.png")
    found = find(run("photos", "--no-labels", "--json"))
    assert names_of(found["quarantined"])[0] == "cat/broken.png"
    assert names_of(found["duplicates"]) == ["cat/000.png", "cat/copy.png"]
    assert names_of(found["duplicate_labels"]) == ["dog/owl.png", "owl/001.png"]
    assert names_of(found["blank"]) == ["dog/blank.png"]
    # Each class has one colour here.
    assert "border_colour_tells_class" in found


def test_a_wrong_label_is_found_by_the_backbone(photos):
    shutil.move(photos / "cat/007.png", photos / "dog/was_cat.png")
    found = find(run("photos", *SMALL, "--json"))
    assert names_of(found["label_problems"])[0] == "dog/was_cat.png"


def test_the_page_is_written_to_the_given_file(photos):
    result = run("photos", "--no-labels", "--html", "audit.html")
    assert result.exit_code == 0, result.output
    page = Path("audit.html").read_text(encoding="utf-8")
    assert page.lstrip().startswith("<!doctype html>") and page.count("<img") >= 36


def test_strict_fails_if_a_finding_is_more_than_a_note(photos):
    result = run("photos", "--no-labels", "--strict")
    assert result.exit_code == 1
    assert "border colour alone predicts the class" in result.stdout
    assert run("photos", "--no-labels").exit_code == 0


def test_data_that_cannot_train_are_a_finding(photos):
    for path in sorted((photos / "owl").iterdir())[2:]:
        path.unlink()
    assert "cannot_train" not in find(run("photos", "--no-labels", "--json"))
    found = find(run("photos", "data.split.rare=refuse", "--no-labels", "--json"))
    assert found["cannot_train"]["severity"] == "problem"
    assert "owl" in found["cannot_train"]["sentence"]


def test_missing_weights_skip_the_labels_with_a_message(photos, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(photos / "none"))
    result = run("photos")
    assert result.exit_code == 0, result.output
    assert "the weights of mobilenet_v2" in result.stdout
    assert "KFT_WEIGHTS_DIR" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere"),
        (["photos", "--html", "a.txt"], "must end in .html"),
        (["photos", "--html", "none/a.html"], "not a file in an existing folder"),
        (["photos", "backbone.name=mobilnet"], "mobilnet"),
    ],
)
def test_invalid_arguments_are_refused_with_the_reason(photos, arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_unprintable_characters_are_escaped():
    assert printable("grün\n\x1b[31m\udcff.jpg") == "grün\\n\\x1b[31m\\udcff.jpg"


def test_the_commands_of_the_document_work(photos):
    blocks = re.findall(
        r"```console\n(.*?)```", (ROOT / "docs/audit.md").read_text(encoding="utf-8"), re.DOTALL
    )
    commands = re.findall(r"^\$ (kft .*)$", "\n".join(blocks), re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        result = CliRunner().invoke(main, [*shlex.split(command)[1:], *SMALL])
        assert result.exit_code == 0, result.output


def test_the_document_explains_every_finding():
    text = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
    sources = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "kft/auditing").glob("*.py")
    )
    kinds = set(re.findall(r"Finding\(\s*\"(\w+)\"", sources))
    kinds |= set(re.findall(r"_Case\(\s*\"(\w+)\"", sources))
    assert len(kinds) >= 15
    assert {kind for kind in kinds if f"`{kind}`" not in text} == set()


def test_classes_that_may_be_one_are_a_problem_and_joined_ones_a_note(photos):
    (photos / "owl").rename(photos / "Cat")
    (photos / "dog").rename(photos / "cafe\u0301")
    findings = find(run("photos", "--no-labels", "--json"))
    assert "'Cat' (30) and 'cat' (30)" in findings["cannot_train"]["sentence"]
    assert "30 of a class in decomposed Unicode" in findings["understood"]["sentence"]
